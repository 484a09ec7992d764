// Conv1D and Conv2D: Z = W P + b, A = g(Z), a column of P is the patch that a filter sees.
//
// A sequence is a picture of one row. What leaves has the places of a channel together.
#include "convolve.hpp"
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

constexpr size_t CACHED = 24 * 1024;  // bytes of dZ that are worked on together

template <class T>
class Convolution : public Stage<T> {
 public:
  static constexpr int L = LANES<T>;

  explicit Convolution(StageSpec<T> spec)
      : Stage<T>(std::move(spec)),
        rows_(this->spec_.whole("size_rows")),
        columns_(this->spec_.whole("size_columns")),
        step_rows_(this->spec_.whole("stride_rows")),
        step_columns_(this->spec_.whole("stride_columns")),
        pad_rows_(this->spec_.whole("padding_rows")),
        pad_columns_(this->spec_.whole("padding_columns")),
        pad_behind_(this->spec_.whole("padding_behind")),
        groups_(this->spec_.whole("groups")),
        n_(this->out().channels / groups_),
        channels_(this->in().channels / groups_) {
    this->spec_.out.channels_first = true;
    const Shape &in = this->in(), &out = this->out();
    // As far as windows reach, borders of zeros around.
    seen_ = {(out.rows - 1) * step_rows_ + rows_, (out.columns - 1) * step_columns_ + columns_};
    copied_ = !(in.channels_first || in.channels == 1) || pad_rows_ > 0 || pad_columns_ > 0 ||
              seen_.rows > in.rows || seen_.columns > in.columns;
    back_ = {in.rows + rows_ - 1, in.columns + columns_ - 1};
    for (int g = 0; g < groups_; ++g) {
      forward_.emplace_back(
          n_, Window{channels_, rows_, columns_, step_rows_, step_columns_, out.rows, out.columns});
      backward_.emplace_back(channels_, Window{n_, rows_, columns_, 1, 1, in.rows, in.columns});
    }
  }

  bool wants_channels_first() const override { return true; }

  // What entered with its borders, and Z.
  size_t kept(int width) const override {
    return copied_size(width) + (this->spec_.needs_Z ? size_t(this->out().n()) * width : 0);
  }
  // dZ with borders, and dW lane by lane.
  size_t scratch(int width) const override {
    return size_t(this->out().channels) * back_.rows * back_.columns * width + lanes_of_dW();
  }

  void pack(int t, int threads) override {
    const T* W = this->spec_.parameters[0].values;
    const int n = this->out().channels;
    const auto weight = [&](int f, int c, int ky, int kx) {
      return W[(size_t(ky * columns_ + kx) * channels_ + c) * n + f];
    };
    for (int g = 0, turn = 0; g < groups_; ++g) {
      for (int j = 0; j < forward_[g].tiles(); ++j, ++turn)
        if (turn % threads == t)
          forward_[g].pack(
              j, [&](int f, int c, int ky, int kx) { return weight(g * n_ + f, c, ky, kx); });
      for (int j = 0; j < backward_[g].tiles(); ++j, ++turn)
        if (turn % threads == t)
          backward_[g].pack(j, [&](int c, int f, int ky, int kx) {
            return weight(g * n_ + f, c, rows_ - 1 - ky, columns_ - 1 - kx);
          });
    }
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T* kept, T*) const override {
    const int w = pass.width;
    const T* in = entered(A_prev, kept);
    if (copied_) copy_in(A_prev, kept, w);
    T* Z = this->spec_.needs_Z ? kept + copied_size(w) : A;
    const Walk from = walk_in(w), to = walk_out(w);
    const bool relu = this->spec_.activation == ID_ReLU;
    const bool apart = !relu && this->spec_.activation != ID_Identity;
    for (int y = 0; y < this->out().rows; ++y) {
      for (int g = 0; g < groups_; ++g)
        forward_[g].row(y, in + g * channels_ * from.channel, from,
                        this->spec_.parameters[1].values + g * n_, relu, Z + g * n_ * to.channel,
                        to, w, 0, rows_);
      for (int f = 0; apart && f < this->out().channels; ++f) {
        const size_t at = f * to.channel + y * to.row;
        this->activate(Z + at, A + at, to.row);
      }
    }
  }

  void backward(const Pass& pass, const T* A_prev, const T* A, T* dA, T* dA_prev, T* kept,
                T* scratch, T* const* gradients, bool add) const override {
    const int w = pass.width;
    T* const bordered = dA_prev ? scratch : nullptr;
    T* const G = scratch + size_t(this->out().channels) * back_.rows * back_.columns * w;
    dZ_of(w, A, dA, kept, bordered, gradients[1], add);
    // Of the two copies the one whose filters don't fall upon each other in a cache.
    const bool apart = bordered && step_rows_ == 1 && step_columns_ == 1 && pad_rows_ < rows_ &&
                       pad_columns_ < columns_;
    const int top = rows_ - 1 - pad_rows_, left = columns_ - 1 - pad_columns_;
    const Walk from{size_t(back_.rows) * back_.columns * w, size_t(back_.columns) * w, size_t(w)};
    if (apart)
      gradient(w, entered(A_prev, kept), bordered + top * from.row + left * from.column, from, G);
    else
      gradient(w, entered(A_prev, kept), dA, walk_out(w), G);
    reduce(G, gradients[0], add);
    if (!dA_prev) return;
    const Shape& in = this->in();
    const Walk to{size_t(in.channel_stride()) * w, size_t(in.columns) * in.place_stride() * w,
                  size_t(in.place_stride()) * w};
    const int bottom = top + (this->out().rows - 1) * step_rows_ + 1;
    for (int y = 0; y < in.rows; ++y)  // rows of dZ are the bordered ones from top to bottom
      for (int g = 0; g < groups_; ++g)
        backward_[g].row(y, bordered + g * n_ * from.channel, from, nullptr, false,
                         dA_prev + g * channels_ * to.channel, to, w, std::clamp(top - y, 0, rows_),
                         std::clamp(bottom - y, 0, rows_));
  }

  int length_after(int length) const override {
    return (length + pad_columns_ + pad_behind_ - columns_) / step_columns_ + 1;
  }

 private:
  struct Size {
    int rows, columns;
  };

  size_t copied_size(int w) const {
    return copied_ ? size_t(this->in().channels) * seen_.rows * seen_.columns * w : 0;
  }
  size_t lanes_of_dW() const {
    return size_t(this->out().channels) * channels_ * rows_ * columns_ * L;
  }
  const T* entered(const T* A_prev, const T* kept) const { return copied_ ? kept : A_prev; }
  Walk walk_in(int w) const {
    const size_t columns = size_t(copied_ ? seen_.columns : this->in().columns);
    const size_t rows = size_t(copied_ ? seen_.rows : this->in().rows);
    return {rows * columns * w, columns * w, size_t(w)};
  }
  Walk walk_out(int w) const {
    const size_t columns = size_t(this->out().columns);
    return {size_t(this->out().rows) * columns * w, columns * w, size_t(w)};
  }

  void copy_in(const T* A_prev, T* to, int w) const {
    const Shape& in = this->in();
    std::memset(static_cast<void*>(to), 0, copied_size(w) * sizeof(T));
    const int rows = std::min(in.rows, seen_.rows - pad_rows_);
    const int columns = std::min(in.columns, seen_.columns - pad_columns_);
    for (int c = 0; c < in.channels; ++c)
      for (int y = 0; y < rows; ++y) {
        T* row = to + ((size_t(c) * seen_.rows + y + pad_rows_) * seen_.columns + pad_columns_) * w;
        const T* from = A_prev + size_t(in.at(y * in.columns, c)) * w;
        if (in.place_stride() == 1) {
          std::memcpy(row, from, size_t(columns) * w * sizeof(T));
          continue;
        }
        for (int x = 0; x < columns; ++x)
          std::memcpy(row + size_t(x) * w, from + size_t(x) * in.place_stride() * w, w * sizeof(T));
      }
  }

  // dZ = dA * g'(Z) in place, db, and, where `bordered` is wanted, dZ with zeros between and
  // around.
  void dZ_of(int w, const T* A, T* dA, const T* kept, T* bordered, T* db, bool add) const {
    const Walk walk = walk_out(w);
    const T* Z = this->spec_.needs_Z ? kept + copied_size(w) : A;
    const int top = rows_ - 1 - pad_rows_, left = columns_ - 1 - pad_columns_;
    if (bordered)
      std::memset(static_cast<void*>(bordered), 0,
                  size_t(this->out().channels) * back_.rows * back_.columns * w * sizeof(T));
    for (int f = 0; f < this->out().channels; ++f) {
      Vec<T> sum{};
      for (int y = 0; y < this->out().rows; ++y) {
        const size_t at = f * walk.channel + y * walk.row;
        if (this->spec_.activation != ID_Identity) this->slope(Z + at, A + at, dA + at, walk.row);
        for (size_t k = 0; k < walk.row; k += L) sum = sum + load(dA + at + k);
        const int row = y * step_rows_ + top;
        if (!bordered || row < 0 || row >= back_.rows) continue;
        T* const to = bordered + (size_t(f) * back_.rows + row) * back_.columns * w;
        for (int x = 0; x < this->out().columns; ++x) {
          const int column = x * step_columns_ + left;
          if (column >= 0 && column < back_.columns)
            std::memcpy(to + size_t(column) * w, dA + at + size_t(x) * w, w * sizeof(T));
        }
      }
      db[f] = (add ? db[f] : T(0)) + lane_sum<T>(sum);
    }
  }

  // G[filter][channel][row][column][lane] of the slice: as many rows of dZ at a time as stay in the
  // first cache while all channels of what entered pass.
  void gradient(int w, const T* in, const T* dZ, const Walk& d, T* G) const {
    const Walk a = walk_in(w);
    const size_t tap_row = size_t(columns_) * L, per_filter = size_t(channels_) * rows_ * tap_row;
    std::memset(static_cast<void*>(G), 0, lanes_of_dW() * sizeof(T));
    const int most = filters_of_gradient(columns_, n_);
    const int together = int(std::clamp<size_t>(CACHED / (most * walk_out(w).row * sizeof(T)), 1,
                                                size_t(this->out().rows)));
    for (int y = 0; y < this->out().rows; y += together)
      for (int g = 0; g < groups_; ++g)
        for (int f = 0, some; f < n_; f += some) {
          some = filters_of_gradient(columns_, n_ - f);
          const int filter = g * n_ + f;
          GradientRows<T> rows{std::min(together, this->out().rows - y),
                               this->out().columns,
                               w / L,
                               d.row,
                               size_t(step_rows_) * a.row,
                               dZ + filter * d.channel + y * d.row,
                               d.channel,
                               d.column,
                               nullptr,
                               size_t(step_columns_) * a.column,
                               a.column};
          for (int c = 0; c < channels_; ++c)
            for (int ky = 0; ky < rows_; ++ky) {
              rows.A = in + (g * channels_ + c) * a.channel + (size_t(y) * step_rows_ + ky) * a.row;
              gradient_of_rows(some, columns_, rows,
                               G + filter * per_filter + (size_t(c) * rows_ + ky) * tap_row,
                               per_filter);
            }
        }
  }

  void reduce(const T* G, T* dW, bool add) const {
    const int n = this->out().channels;
    for (int f = 0; f < n; ++f)
      for (int c = 0; c < channels_; ++c)
        for (int k = 0; k < rows_ * columns_; ++k, G += L) {
          T& to = dW[(size_t(k) * channels_ + c) * n + f];
          to = (add ? to : T(0)) + lane_sum<T>(load(G));
        }
  }

  int rows_, columns_, step_rows_, step_columns_, pad_rows_, pad_columns_, pad_behind_, groups_;
  int n_, channels_;  // of a group
  Size seen_, back_;
  bool copied_;
  std::vector<Bank<T>> forward_, backward_;  // of each group
};

}  // namespace

PELLUCID_KIND(convolution, Convolution)

}  // namespace pellucid::PELLUCID_LEVEL::stages
