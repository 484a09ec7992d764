// What recurrent stages share: a sequence step by step, forward and backward through time.
//
// Step i of the way (step t of the sequence; backwards, T - 1 - i) has a block of rows, [a<before>;
// x<t>] and what the kind adds, so that W [a; x] is one product and dW one more over all blocks.
// Where an example has fewer steps, its lanes hold the state at the others, and its gradient passes
// them by.
#pragma once

#include "products.hpp"
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// Some gates' rows of W, and some columns, for a product: a tile is the gates of some units, so
// that they are at hand for what is made of them.
template <class T>
class Forward {
 public:
  // Gates of n units, and K columns.
  Forward(int gates, int n, int K)
      : gates_(gates),
        units_(TALL / gates),
        shape_{gates * n, K, units_ * gates},
        W_(shape_.size()),
        start_(size_t(gates) * n) {
    for (int first = 0; first < n; first += units_)
      for (int gate = 0; gate < gates; ++gate)
        for (int k = first; k < std::min(first + units_, n); ++k) order_.push_back(gate * n + k);
    for (int r = 0; r < TALL; ++r) counted_.push_back(r);
  }

  // Thread t's share, from the first number of W, whose columns are `column` apart, and of b.
  void pack(const T* W, const T* b, size_t column, int t, int threads) {
    for (int j = shape_.tiles() * t / threads; j < shape_.tiles() * (t + 1) / threads; ++j) {
      pack_tile(shape_, W, 1, column, j, W_.get(), order_.data());
      for (int r = j * shape_.tall; r < j * shape_.tall + shape_.height(j); ++r)
        start_[r] = b ? b[order_[r]] : T(0);
    }
  }
  // Z (gates, units, w) of the tiles, a few of them before use(first unit, units, Z) of each: what
  // is made of the gates takes long and needs company.
  template <class F>
  void operator()(const T* A, const int* rows, int w, T* Z, F use) const {
    for (int j = 0; j < shape_.tiles(); j += TILES) {
      const int end = std::min(j + TILES, shape_.tiles());
      for (int i = j; i < end; ++i)
        rows_of_tile(shape_, W_.get(), i, A, rows, w, start_.get() + i * shape_.tall,
                     Z + size_t(i - j) * TALL * w, counted_.data());
      for (int i = j; i < end; ++i)
        use(i * units_, shape_.height(i) / gates_, Z + size_t(i - j) * TALL * w);
    }
  }
  static constexpr int TILES = 4;

 private:
  int gates_, units_;
  Packing shape_;
  Buffer<T> W_, start_;
  std::vector<int> order_, counted_;
};

template <class T>
class ThroughTime : public Stage<T> {
 public:
  static constexpr int L = LANES<T>;

  // What the kind has: `gates` parts of W, n rows each, and dZ in some parts, so many rows each,
  // whose dW are products of their own; `more` rows of a block and `noted` rows of each step;
  // `carried` states.
  ThroughTime(StageSpec<T> spec, int gates, std::vector<int> parts, int more, int noted,
              int carried)
      : Stage<T>(std::move(spec)),
        n_(this->out().channels),
        n_x_(this->in().channels),
        steps_(this->in().columns),
        rows_(gates * n_),
        parts_(std::move(parts)),
        block_(n_ + n_x_ + more),
        noted_(noted),
        carried_(carried),
        sequences_(this->spec_.whole("sequences")),
        backwards_(this->spec_.whole("backwards")) {
    for (int each : parts_) {
      derivatives_ += each;
      panels_ += (each + TOGETHER<T> - 1) / TOGETHER<T>;
    }
    for (int k = 0; k < std::max(block_, derivatives_); ++k) counted_.push_back(k);
    for (int t = 0; t < steps_; ++t)
      for (int k = 0; k < n_x_; ++k) x_rows_.push_back(this->in().at(t, k));
  }

  // The blocks and the state at the end, then what is noted of each step.
  size_t kept(int width) const override {
    return (size_t(steps_) * (block_ + noted_) + size_t(n_)) * width;
  }
  // Tiles of Z; and d of the states and of a step's Z, AT_ONCE of these transposed, and what the
  // kind needs.
  size_t scratch(int width) const override {
    const size_t back = (size_t(3 * carried_) * n_ + derivatives_ + own_rows()) * width;
    return std::max(back + panels_ * panel(width), size_t(Forward<T>::TILES) * TALL * width);
  }

 protected:
  static constexpr int AT_ONCE = 2;  // steps whose dW is summed in one go

  // What a kind computes at step i: a<t> (n, width) into `a`, from the block [a; x; ...].
  struct Now {
    int w;
    T *block, *noted, *a;
    const T* noted_before;  // of the step before; null at the first
    T* Z;                   // forward: for a product's tiles
  };
  virtual void step(const Now& now) const = 0;
  // From d of the states after step i that of the states before it, a first, (n, width) each; dZ,
  // and what the kind keeps beside it; and, where dA_prev is wanted, dx at its x_rows.
  virtual void step_back(const Now& now, const T* d, T* d_before, T* dZ, T* dA_prev,
                         const int* x_rows, T* own) const = 0;
  // dW and db of some steps, whose blocks follow each other and whose transposed dZ do: D.
  virtual void gradient(const T* blocks, int steps, int w, int count, const T* D,
                        T* const* gradients, bool add) const {
    sum_gradient(blocks, counted_.data(), n_ + n_x_, steps, w, count, D, 0, gradients[0], add);
    sum_bias(steps, w, count, D, 0, gradients[1], add);
  }
  virtual int own_rows() const { return 0; }

  void forward(const Pass& pass, const T* A_prev, T* A, T* kept, T* scratch) const override {
    const int w = pass.width;
    const size_t state = size_t(n_) * w;
    std::memset(static_cast<void*>(kept), 0, state * sizeof(T));
    for (int i = 0; i < steps_; ++i) {
      const int t = step_of(i);
      Now now = at(i, kept, w);
      for (int k = 0; k < n_x_; ++k)
        std::memcpy(now.block + state + size_t(k) * w, A_prev + size_t(x_rows(t)[k]) * w,
                    size_t(w) * sizeof(T));
      now.Z = scratch;
      step(now);
      if (pass.lengths) hold(now, t, pass.lengths);
      if (sequences_) std::memcpy(A + size_t(t) * state, now.a, state * sizeof(T));
      if (!sequences_ && i == steps_ - 1) std::memcpy(A, now.a, state * sizeof(T));
    }
  }

  void backward(const Pass& pass, const T*, const T*, T* dA, T* dA_prev, T* kept, T* scratch,
                T* const* gradients, bool add) const override {
    const int w = pass.width;
    const size_t state = size_t(n_) * w;
    T *d = scratch, *d_before = d + carried_ * state, *dZ = d_before + carried_ * state;
    T *aside = dZ + size_t(derivatives_) * w, *D = aside + carried_ * state;
    T* own = D + panels_ * panel(w);
    std::memset(static_cast<void*>(d), 0, carried_ * state * sizeof(T));
    for (int i = steps_ - 1, waiting = 0; i >= 0; --i) {
      const int t = step_of(i);
      const Now now = at(i, kept, w);
      if (sequences_ || i == steps_ - 1) sum(d, dA + (sequences_ ? size_t(t) * state : 0), state);
      if (pass.lengths) part(d, aside, t, pass.lengths, w);
      step_back(now, d, d_before, dZ, dA_prev, x_rows(t), own);
      turn(dZ, w, D + row(AT_ONCE - 1 - waiting, w));
      if (++waiting == AT_ONCE || i == 0) {
        gradient(at(i, kept, w).block, waiting, w, pass.count, D + row(AT_ONCE - waiting, w),
                 gradients, add || i + waiting < steps_);
        waiting = 0;
      }
      if (pass.lengths) sum(d_before, aside, carried_ * state);
      std::swap(d, d_before);
    }
  }

  int step_of(int i) const { return backwards_ ? steps_ - 1 - i : i; }
  const int* x_rows(int t) const { return x_rows_.data() + size_t(t) * n_x_; }

  Now at(int i, T* kept, int w) const {
    T* const block = kept + size_t(i) * block_ * w;
    T* const noted = kept + (size_t(steps_) * block_ + n_ + size_t(i) * noted_) * w;
    return {
        w,      block, noted, block + size_t(block_) * w, i ? noted - size_t(noted_) * w : nullptr,
        nullptr};
  }

  // In D a part's panels follow those of the parts before it, and hold AT_ONCE steps.
  static size_t row(int steps, int w) { return size_t(steps) * w * TOGETHER<T>; }
  static size_t panel(int w) { return row(AT_ONCE, w); }
  size_t panels_before(int part) const {
    size_t panels = 0;
    for (int p = 0; p < part; ++p) panels += size_t(parts_[p] + TOGETHER<T> - 1) / TOGETHER<T>;
    return panels;
  }
  void turn(const T* dZ, int w, T* D) const {
    for (size_t p = 0; p < parts_.size(); dZ += size_t(parts_[p]) * w, ++p)
      transposed(dZ, counted_.data(), parts_[p], w, D + panels_before(int(p)) * panel(w),
                 TOGETHER<T>, panel(w));
  }

  // G of rows `rows` of the blocks, K of them, and a part of D; G is part of dW.
  void sum_gradient(const T* blocks, const int* rows, int K, int steps, int w, int count,
                    const T* D, int part, T* G, bool add) const {
    const Sequence<T> all{blocks,
                          rows,
                          w,
                          count,
                          steps,
                          size_t(block_) * w,
                          D + panels_before(part) * panel(w),
                          TOGETHER<T>,
                          panel(w)};
    product_of_gradient(all, K, parts_[part], add, G, size_t(rows_));
  }
  // And the part of db.
  void sum_bias(int steps, int w, int count, const T* D, int part, T* sums, bool add) const {
    for (int s = 0; s < steps; ++s)
      sum_of_rows(D + panels_before(part) * panel(w) + row(s, w), TOGETHER<T>, count, parts_[part],
                  add || s > 0, sums, panel(w));
  }

  static void sum(T* to, const T* from, size_t n) {
    for (size_t k = 0; k < n; k += L) store(to + k, load(to + k) + load(from + k));
  }

  // Examples that have no step t keep their state.
  void hold(const Now& now, int t, const std::int32_t* lengths) const {
    for (int e = 0; e < now.w; ++e) {
      if (t < lengths[e]) continue;
      for (int k = 0; k < n_; ++k) now.a[size_t(k) * now.w + e] = now.block[size_t(k) * now.w + e];
      hold_more(now, e);
    }
  }
  virtual void hold_more(const Now&, int /*e*/) const {}

  // d of those that have no step t goes to `aside`, and is 0 here.
  void part(T* d, T* aside, int t, const std::int32_t* lengths, int w) const {
    std::memset(static_cast<void*>(aside), 0, size_t(carried_) * n_ * w * sizeof(T));
    for (int e = 0; e < w; ++e)
      for (int k = 0; t >= lengths[e] && k < carried_ * n_; ++k)
        aside[size_t(k) * w + e] = std::exchange(d[size_t(k) * w + e], T(0));
  }

  int n_, n_x_, steps_, rows_;
  std::vector<int> parts_;  // rows of dZ
  int block_, noted_, carried_;
  bool sequences_, backwards_;
  int derivatives_ = 0;                // rows of dZ
  size_t panels_ = 0;                  // of D
  std::vector<int> counted_, x_rows_;  // 0, 1, 2, ...; where x of each step enters
};

}  // namespace pellucid::PELLUCID_LEVEL::stages
