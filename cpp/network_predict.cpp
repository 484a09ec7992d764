// Each kind of stage on one example.
#include "network_predict.hpp"

#include <cmath>
#include <limits>

#include "stages/gates.hpp"
#include "stages/one.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

// Nothing is dropped.
template <class T>
struct OneDropout : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    std::memcpy(a, entered[0], size_t(this->spec_.in.n()) * sizeof(T));
  }
};

template <class T>
struct OneScale : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    for (int k = 0; k < this->spec_.in.n(); ++k)
      a[k] = this->spec_.parameters[0].values[k] * entered[0][k];
  }
};

template <class T>
struct OneDense : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const auto& spec = this->spec_;
    const int places = spec.whole("each_step") ? spec.in.places() : 1;
    const int K = spec.in.n() / places, n = spec.out.n() / places;
    const T* W = spec.parameters[0].values;
    if (!spec.constants.empty()) {
      if (!masked_.size()) masked_ = Buffer<T>(size_t(K) * n);
      for (size_t k = 0; k < masked_.size(); ++k) masked_[k] = W[k] * spec.constants[0][k];
      W = masked_.get();
    }
    for (int q = 0; q < places; ++q)
      units(entered[0] + size_t(q) * K, K, W, size_t(n), n, spec.parameters[1].values,
            a + size_t(q) * n);
    this->activate(a, size_t(spec.out.n()));
  }
  Buffer<T> masked_;
};

template <class T>
struct OneConvolution : One<T> {
  explicit OneConvolution(const StageSpec<T>& given)
      : One<T>(given),
        rows(given.whole("size_rows")),
        columns(given.whole("size_columns")),
        step_rows(given.whole("stride_rows")),
        step_columns(given.whole("stride_columns")),
        pad_rows(given.whole("padding_rows")),
        pad_columns(given.whole("padding_columns")),
        groups(given.whole("groups")),
        channels(given.in.channels),
        n(given.out.channels / groups),
        wide((given.out.rows - 1) * step_rows + rows),
        long_((given.out.columns - 1) * step_columns + columns) {
    constexpr int L = LANES<T>;
    column = size_t(n + L - 1) / L * L;
    W = Buffer<T>(size_t(rows) * columns * (channels / groups) * column);
    bias = Buffer<T>(column);
    z = Buffer<T>(size_t(given.out.columns) * column);
    const bool fits =
        pad_rows == 0 && pad_columns == 0 && wide <= given.in.rows && long_ <= given.in.columns;
    if (!fits) bordered = Buffer<T>(size_t(wide) * long_ * channels);
  }

  void run(const T* const* entered, T* a) override {
    const Shape &in = this->spec_.in, &out = this->spec_.out;
    const T* x = entered[0];
    size_t row = size_t(in.columns) * channels;
    if (bordered.size()) {
      copy_in(x);
      x = bordered.get();
      row = size_t(long_) * channels;
    }
    const Patch patch{channels / groups, rows, columns, row, size_t(channels)};
    for (int g = 0; g < groups; ++g) {
      read(g);
      for (int y = 0; y < out.rows; ++y) {
        const T* from = x + size_t(y) * step_rows * row + size_t(g) * patch.channels;
        for (size_t v = 0; v < column; v += LANES<T>)
          row_of_places_of_one(patch, from, size_t(step_columns) * channels, out.columns, W + v,
                               column, bias + v, z + v, column);
        for (int p = 0; p < out.columns; ++p)
          std::memcpy(a + (size_t(y) * out.columns + p) * out.channels + g * n, z + p * column,
                      size_t(n) * sizeof(T));
      }
    }
    this->activate(a, size_t(out.n()));
  }

 private:
  // The filters of a group, in whole vectors.
  void read(int g) {
    const int all = this->spec_.out.channels;
    const T* from = this->spec_.parameters[0].values + g * n;
    for (size_t k = 0; k < W.size() / column; ++k)
      std::memcpy(W + k * column, from + k * all, size_t(n) * sizeof(T));
    std::memcpy(bias.get(), this->spec_.parameters[1].values + g * n, size_t(n) * sizeof(T));
  }
  void copy_in(const T* x) {
    const Shape& in = this->spec_.in;
    const int there = std::min(in.columns, long_ - pad_columns) * channels;
    for (int y = 0; y < std::min(in.rows, wide - pad_rows); ++y)
      std::memcpy(bordered + (size_t(y + pad_rows) * long_ + pad_columns) * channels,
                  x + size_t(y) * in.columns * channels, size_t(there) * sizeof(T));
  }

  int rows, columns, step_rows, step_columns, pad_rows, pad_columns, groups, channels, n;
  int wide, long_;  // rows and columns that windows reach
  size_t column;
  Buffer<T> W, bias, z, bordered;
};

// NaN where either is.
template <class T>
T larger(T x, T a) {
  return x > a || x != x ? x : a;
}

template <class T>
struct OnePool : One<T> {
  explicit OnePool(const StageSpec<T>& given)
      : One<T>(given),
        rows(given.whole("size_rows")),
        columns(given.whole("size_columns")),
        step_rows(given.whole("stride_rows")),
        step_columns(given.whole("stride_columns")),
        max(given.whole("max")) {}

  void run(const T* const* entered, T* a) override {
    const Shape &in = this->spec_.in, &out = this->spec_.out;
    const T share = T(1) / T(rows * columns);
    for (int y = 0; y < out.rows; ++y)
      for (int x = 0; x < out.columns; ++x, a += out.channels) {
        const int first = y * step_rows * in.columns + x * step_columns;
        for (int dy = 0; dy < rows; ++dy)
          for (int dx = 0; dx < columns; ++dx) {
            const T* from = entered[0] + size_t(first + dy * in.columns + dx) * in.channels;
            if (dy + dx == 0)
              std::memcpy(a, from, size_t(in.channels) * sizeof(T));
            else if (max)
              for (int c = 0; c < in.channels; ++c) a[c] = larger(from[c], a[c]);
            else
              for (int c = 0; c < in.channels; ++c) a[c] = a[c] + from[c];
          }
        for (int c = 0; !max && c < in.channels; ++c) a[c] = a[c] * share;
      }
  }

  int rows, columns, step_rows, step_columns;
  bool max;
};

template <class T>
struct OneGlobalPool : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const Shape& in = this->spec_.in;
    const bool max = this->spec_.whole("max");
    const T start = max ? -std::numeric_limits<T>::infinity() : T(0);
    std::fill_n(a, in.channels, start);
    for (int place = 0; place < in.places(); ++place) {
      const T* from = entered[0] + size_t(place) * in.channels;
      for (int c = 0; c < in.channels; ++c) a[c] = max ? larger(from[c], a[c]) : a[c] + from[c];
    }
    for (int c = 0; !max && c < in.channels; ++c) a[c] = a[c] / T(in.places());
  }
};

template <class T>
struct OneEmbedding : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const auto& spec = this->spec_;
    const int n = spec.out.channels, words = int(spec.parameters[0].size / size_t(n));
    const int padding = spec.whole("padding");
    for (int place = 0; place < spec.in.n(); ++place, a += n) {
      const T number = entered[0][place];
      const bool known = number > T(-0.5) && number < T(words) - T(0.5);
      const int word = known ? int(std::nearbyint(number)) : -1;
      if (word < 0 || word == padding)
        std::fill_n(a, n, T(0));
      else
        std::memcpy(a, spec.parameters[0].values + size_t(word) * n, size_t(n) * sizeof(T));
    }
  }
};

// In vectors whose first lane counts: the operations of the slices.
template <class T>
struct OneLayerNorm : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const auto& spec = this->spec_;
    const int n = spec.in.channels;
    const T *gamma = spec.parameters[0].values, *beta = spec.parameters[1].values;
    const Vec<T> epsilon = broadcast(T(spec.number_of("epsilon")));
    for (int place = 0; place < spec.in.places(); ++place, a += n) {
      const T* x = entered[0] + size_t(place) * n;
      Vec<T> sum{}, squares{};
      for (int c = 0; c < n; ++c) sum = sum + broadcast(x[c]);
      const Vec<T> mean = sum / broadcast(T(n));
      for (int c = 0; c < n; ++c) {
        const Vec<T> apart = broadcast(x[c]) - mean;
        squares = fma(apart, apart, squares);
      }
      const Vec<T> std = sqrt(squares / broadcast(T(n)) + epsilon);
      for (int c = 0; c < n; ++c)
        a[c] = fma(broadcast(gamma[c]), (broadcast(x[c]) - mean) / std, broadcast(beta[c]))[0];
    }
  }
};

template <class T>
struct OneBatchNorm : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const auto& spec = this->spec_;
    const int n = spec.in.channels;
    for (int c = 0; c < n; ++c) {
      const T variance = spec.statistics[1][c];
      const Vec<T> mean = broadcast(spec.statistics[0][c]);
      const Vec<T> std = broadcast(T(std::sqrt(double(variance) + spec.number_of("epsilon"))));
      const Vec<T> gamma = broadcast(spec.parameters[0].values[c]);
      const Vec<T> beta = broadcast(spec.parameters[1].values[c]);
      for (int place = 0; place < spec.in.places(); ++place) {
        const size_t at = size_t(place) * n + c;
        a[at] = fma(gamma, (broadcast(entered[0][at]) - mean) / std, beta)[0];
      }
    }
  }
};

template <class T>
struct OneAdd : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const int n = this->spec_.out.n();
    std::memcpy(a, entered[0], size_t(n) * sizeof(T));
    for (size_t i = 0; i < this->spec_.others.size(); ++i)
      for (int k = 0; k < n; ++k) a[k] += entered[i + 1][k];
  }
};

template <class T>
struct OneTake : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const Shape &in = this->spec_.in, &out = this->spec_.out;
    const int first = this->spec_.whole("first");
    for (int place = 0; place < in.places(); ++place)
      std::memcpy(a + size_t(place) * out.channels,
                  entered[0] + size_t(place) * in.channels + first,
                  size_t(out.channels) * sizeof(T));
  }
};

template <class T>
struct OneConcat : One<T> {
  using One<T>::One;
  void run(const T* const* entered, T* a) override {
    const Shape& out = this->spec_.out;
    int first = 0;
    for (size_t i = 0; i <= this->spec_.others.size(); ++i) {
      const int n = (i ? this->spec_.others[i - 1] : this->spec_.in).channels;
      for (int place = 0; place < out.places(); ++place)
        std::memcpy(a + size_t(place) * out.channels + first, entered[i] + size_t(place) * n,
                    size_t(n) * sizeof(T));
      first += n;
    }
  }
};

// What recurrent kinds share: the steps in their order, a from step to step.
template <class T>
struct OneThroughTime : One<T> {
  static constexpr int L = LANES<T>;

  OneThroughTime(const StageSpec<T>& given, int gates, int rows)
      : One<T>(given),
        n(given.out.channels),
        n_x(given.in.channels),
        steps(given.in.columns),
        padded(size_t(n + L - 1) / L * L),
        column(size_t(gates) * n),
        Z(size_t(rows) * padded),
        state(2 * padded),
        joined(size_t(2 * n + n_x) + PANEL<T>) {}

  void run(const T* const* entered, T* a) override {
    const bool sequences = this->spec_.whole("sequences");
    const bool backwards = this->spec_.whole("backwards");
    std::memset(state.get(), 0, state.size() * sizeof(T));
    for (int i = 0; i < steps; ++i) {
      const int t = backwards ? steps - 1 - i : i;
      std::memcpy(joined.get(), state.get(), size_t(n) * sizeof(T));
      std::memcpy(joined + n, entered[0] + size_t(t) * n_x, size_t(n_x) * sizeof(T));
      step();
      if (sequences) std::memcpy(a + size_t(t) * n, state.get(), size_t(n) * sizeof(T));
    }
    if (!sequences) std::memcpy(a, state.get(), size_t(n) * sizeof(T));
  }
  // state from joined, [a<t-1>; x<t>].
  virtual void step() = 0;

  // The part of gate g, from `K` numbers of `x`, that stand from column k0 of W on.
  void gate(const T* x, int K, int k0, int g, const T* start, T* z) const {
    units(x, K, this->spec_.parameters[0].values + size_t(k0) * column + size_t(g) * n, column, n,
          start, z);
  }
  const T* b(int g) const { return this->spec_.parameters[1].values + size_t(g) * n; }
  T* z(int g) { return Z + size_t(g) * padded; }

  int n, n_x, steps;
  size_t padded, column;
  Buffer<T> Z, state, joined;
};

template <class T>
struct OneRecurrent : OneThroughTime<T> {
  explicit OneRecurrent(const StageSpec<T>& given) : OneThroughTime<T>(given, 1, 1) {}
  void step() override {
    this->gate(this->joined.get(), this->n + this->n_x, 0, 0, this->b(0), this->z(0));
    this->activate(this->z(0), this->padded);
    std::memcpy(this->state.get(), this->z(0), size_t(this->n) * sizeof(T));
  }
};

template <class T>
struct OneLSTM : OneThroughTime<T> {
  static constexpr int L = LANES<T>;
  explicit OneLSTM(const StageSpec<T>& given) : OneThroughTime<T>(given, 4, 4) {}
  void step() override {
    for (int g = 0; g < 4; ++g)
      this->gate(this->joined.get(), this->n + this->n_x, 0, g, this->b(g), this->z(g));
    T *a = this->state.get(), *c = a + this->padded;
    for (size_t k = 0; k < this->padded; k += L) {
      const Vec<T> z[] = {load(this->z(0) + k), load(this->z(1) + k), load(this->z(2) + k),
                          load(this->z(3) + k)};
      Vec<T> gate[4];
      gates_of_lstm<T>(z, gate);
      store(c + k, fma(gate[1], load(c + k), gate[0] * gate[3]));
      each_tanh(c + k, L, [&](size_t, Vec<T> shown) { store(a + k, gate[2] * shown); });
    }
  }
};

template <class T>
struct OneGRU : OneThroughTime<T> {
  static constexpr int L = LANES<T>;
  explicit OneGRU(const StageSpec<T>& given)
      : OneThroughTime<T>(given, 3, 4), after(given.whole("reset_after")) {}
  void step() override {
    const int n = this->n, n_x = this->n_x;
    T *x = this->joined.get(), *u = this->z(0), *r = this->z(1), *c = this->z(2), *q = this->z(3);
    for (int g = 0; g < 2; ++g) this->gate(x, n + n_x, 0, g, this->b(g), this->z(g));
    for (size_t k = 0; k < this->padded; k += L) {
      const Vec<T> z[] = {load(u + k), load(r + k)};
      Vec<T> gate[2];
      gates_of_gru<T, 1>(z, gate);
      store(u + k, gate[0]);
      store(r + k, gate[1]);
    }
    T* a = this->state.get();
    if (after) {
      this->gate(x, n, 0, 2, this->b(3), q);
      this->gate(x + n, n_x, n, 2, this->b(2), c);
      for (size_t k = 0; k < this->padded; k += L)
        store(c + k, fma(load(r + k), load(q + k), load(c + k)));
    } else {
      for (size_t k = 0; k < this->padded; k += L) store(q + k, load(r + k) * load(a + k));
      this->gate(q, n, 0, 2, this->b(2), c);
      this->gate(x + n, n_x, n, 2, c, c);
    }
    const Vec<T> one = broadcast(T(1));
    each_tanh(c, this->padded, [&](size_t k, Vec<T> candidate) {
      const Vec<T> gate = load(u + k);
      store(a + k, fma(gate, candidate, (one - gate) * load(a + k)));
    });
  }
  bool after;
};

}  // namespace

#define PELLUCID_ONES(X)         \
  X(add, OneAdd)                 \
  X(batchnorm, OneBatchNorm)     \
  X(concat, OneConcat)           \
  X(convolution, OneConvolution) \
  X(dense, OneDense)             \
  X(dropout, OneDropout)         \
  X(embedding, OneEmbedding)     \
  X(globalpool, OneGlobalPool)   \
  X(gru, OneGRU)                 \
  X(layernorm, OneLayerNorm)     \
  X(lstm, OneLSTM)               \
  X(pool, OnePool)               \
  X(recurrent, OneRecurrent)     \
  X(scale, OneScale)             \
  X(take, OneTake)

template <class T>
std::unique_ptr<One<T>> make_one(const StageSpec<T>& spec) {
#define PELLUCID_MAKE(name, Kind) \
  if (spec.kind == #name) return std::make_unique<Kind<T>>(spec);
  PELLUCID_ONES(PELLUCID_MAKE)
#undef PELLUCID_MAKE
  return nullptr;
}

template std::unique_ptr<One<float>> make_one(const StageSpec<float>&);
template std::unique_ptr<One<double>> make_one(const StageSpec<double>&);

}  // namespace pellucid::PELLUCID_LEVEL::stages
