// GRU: with u and r of sigmoid(W_ur [a<t-1>; x<t>] + b_ur), a<t> = u * c~ + (1 - u) * a<t-1>, where
// c~ = tanh(W_c [q; x] + b_c) of q = r * a<t-1>, or, with the reset after the product,
// c~ = tanh(W_cx x + b_c + r * q) of q = W_ca a<t-1> + b_q.
#include "gates.hpp"
#include "through_time.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class GRU : public ThroughTime<T> {
 public:
  using Now = typename ThroughTime<T>::Now;
  static constexpr int L = LANES<T>;

  // Of each step u, r, c~ and, with the reset after, q, whose derivative stands behind dZ; before,
  // q stands in the block behind x.
  explicit GRU(StageSpec<T> spec)
      : ThroughTime<T>(spec, 3, parts(spec.out.channels, spec.whole("reset_after")),
                       spec.whole("reset_after") ? 0 : spec.out.channels,
                       (spec.whole("reset_after") ? 4 : 3) * spec.out.channels, 1),
        after_(this->spec_.whole("reset_after")),
        ur_(2, this->n_, this->n_ + this->n_x_),
        ca_(1, this->n_, this->n_),
        cx_(1, this->n_, this->n_x_),
        c_(1, this->n_, this->n_ + this->n_x_),
        ur_a_(this->n_, 2 * this->n_),
        c_a_(this->n_, this->n_),
        x_(this->n_x_, 3 * this->n_) {
    const int n = this->n_;
    for (int k = 0; k < n; ++k) q_rows_.push_back(n + this->n_x_ + k);  // [q; x] in a block
    for (int k = 0; k < this->n_x_; ++k) q_rows_.push_back(n + k);
  }

  void pack(int t, int threads) override {
    const T *W = this->spec_.parameters[0].values, *b = this->spec_.parameters[1].values;
    const size_t n = size_t(this->n_), column = 3 * n, x = column * n;
    ur_.pack(W, b, column, t, threads);
    ur_a_.pack(W, column, 1, t, threads);
    c_a_.pack(W + 2 * n, column, 1, t, threads);
    x_.pack(W + x, column, 1, t, threads);
    if (!after_) return c_.pack(W + 2 * n, b + 2 * n, column, t, threads);
    ca_.pack(W + 2 * n, b + 3 * n, column, t, threads);
    cx_.pack(W + x + 2 * n, b + 2 * n, column, t, threads);
  }

 protected:
  // d of q, and W_a^T dZ before it is added.
  int own_rows() const override { return 2 * this->n_; }

  void step(const Now& now) const override {
    const int* rows = this->counted_.data();
    const size_t state = size_t(this->n_) * now.w, w = size_t(now.w);
    ur_(now.block, rows, now.w, now.Z,
        [&](int first, int units, const T* Z) { gates(now, Z, first * w, units * w); });
    if (!after_)
      return c_(now.block, q_rows_.data(), now.w, now.Z,
                [&](int first, int units, const T* Z) { renew(now, Z, first * w, units * w); });
    T *const q = q_of(now), *const r = now.noted + state;
    ca_(now.block, rows, now.w, now.Z, [&](int first, int units, const T* Z) {
      std::memcpy(q + first * w, Z, units * w * sizeof(T));
    });
    cx_(now.block + state, rows, now.w, now.Z, [&](int first, int units, T* Z) {
      for (size_t k = 0, at = first * w; k < units * w; k += L)
        store(Z + k, fma(load(r + at + k), load(q + at + k), load(Z + k)));
      renew(now, Z, first * w, units * w);
    });
  }

  // `some` numbers of Z become those of u and r from `first` on; before the product, of q too.
  void gates(const Now& now, const T* Z, size_t first, size_t some) const {
    const size_t state = size_t(this->n_) * now.w;
    T *u = now.noted + first, *r = u + state, *q = q_of(now) + first;
    in_groups<T, 2>(some, [&](auto count, size_t k) {
      constexpr int N = decltype(count)::value;
      Vec<T> z[2 * N], gate[2 * N];
      for (int i = 0; i < N; ++i) {
        z[2 * i] = load(Z + k + i * L);
        z[2 * i + 1] = load(Z + some + k + i * L);
      }
      gates_of_gru<T, N>(z, gate);
      for (int i = 0; i < N; ++i) {
        const size_t at = k + i * L;
        store(u + at, gate[2 * i]);
        store(r + at, gate[2 * i + 1]);
        if (!after_) store(q + at, gate[2 * i + 1] * load(now.block + first + at));
      }
    });
  }
  // And Z_c those of c~ and a.
  void renew(const Now& now, const T* Z, size_t first, size_t some) const {
    const size_t state = size_t(this->n_) * now.w;
    const T *u = now.noted + first, *before = now.block + first;
    T *c = now.noted + 2 * state + first, *a = now.a + first;
    const Vec<T> one = broadcast(T(1));
    each_tanh(Z, some, [&](size_t k, Vec<T> candidate) {
      const Vec<T> gate = load(u + k);
      store(c + k, candidate);
      store(a + k, fma(gate, candidate, (one - gate) * load(before + k)));
    });
  }

  void step_back(const Now& now, const T* d, T* d_before, T* dZ, T* dA_prev, const int* x_rows,
                 T* own) const override {
    const size_t state = size_t(this->n_) * now.w;
    const int* rows = this->counted_.data();
    const T *u = now.noted, *r = u + state, *c = r + state, *q = q_of(now), *a = now.block;
    T *dq = after_ ? dZ + 3 * state : own, *through = own + state;
    T *dZ_u = dZ, *dZ_r = dZ + state, *dZ_c = dZ + 2 * state;
    const Vec<T> one = broadcast(T(1));
    for (size_t k = 0; k < state; k += L) {
      const Vec<T> da = load(d + k), gate = load(u + k), candidate = load(c + k);
      store(dZ_u + k, da * (candidate - load(a + k)) * (gate * (one - gate)));
      store(dZ_c + k, da * gate * (one - candidate * candidate));
      store(d_before + k, da * (one - gate));
    }
    if (!after_) c_a_(dZ_c, rows, now.w, nullptr, dq, rows);
    for (size_t k = 0; k < state; k += L) {
      const Vec<T> gate = load(r + k);
      const Vec<T> dr = after_ ? load(dZ_c + k) * load(q + k) : load(dq + k) * load(a + k);
      if (after_)
        store(dq + k, load(dZ_c + k) * gate);
      else
        store(d_before + k, fma(load(dq + k), gate, load(d_before + k)));
      store(dZ_r + k, dr * (gate * (one - gate)));
    }
    ur_a_(dZ, rows, now.w, nullptr, through, rows);
    this->sum(d_before, through, state);
    if (after_) {
      c_a_(dq, rows, now.w, nullptr, through, rows);
      this->sum(d_before, through, state);
    }
    if (dA_prev) x_(dZ, rows, now.w, nullptr, dA_prev, x_rows);
  }

  // dW of u and r over [a; x], and of c~ over [q; x]; with the reset after over a alone it is that
  // of dq = dZ_c * r, and so is db of q.
  void gradient(const T* blocks, int steps, int w, int count, const T* D, T* const* gradients,
                bool add) const override {
    const int n = this->n_, n_x = this->n_x_;
    const int* rows = this->counted_.data();
    const size_t column = size_t(3 * n);
    T* const dW = gradients[0];
    this->sum_gradient(blocks, rows, n + n_x, steps, w, count, D, 0, dW, add);
    if (!after_) {
      this->sum_gradient(blocks, q_rows_.data(), n + n_x, steps, w, count, D, 1, dW + 2 * n, add);
    } else {
      this->sum_gradient(blocks, rows, n, steps, w, count, D, 2, dW + 2 * n, add);
      this->sum_gradient(blocks, rows + n, n_x, steps, w, count, D, 1, dW + column * n + 2 * n,
                         add);
    }
    for (int part = 0; part < (after_ ? 3 : 2); ++part)
      this->sum_bias(steps, w, count, D, part, gradients[1] + (part ? part + 1 : 0) * n, add);
  }

 private:
  // Of u and r, of c~ and of q.
  static std::vector<int> parts(int n, bool after) {
    return after ? std::vector<int>{2 * n, n, n} : std::vector<int>{2 * n, n};
  }
  T* q_of(const Now& now) const {
    return after_ ? now.noted + size_t(3 * this->n_) * now.w
                  : now.block + size_t(this->n_ + this->n_x_) * now.w;
  }

  bool after_;
  Forward<T> ur_, ca_, cx_, c_;
  Product<T> ur_a_, c_a_, x_;
  std::vector<int> q_rows_;
};

}  // namespace

PELLUCID_KIND(gru, GRU)

}  // namespace pellucid::PELLUCID_LEVEL::stages
