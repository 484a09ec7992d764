// LSTM: with the gates of W [a<t-1>; x<t>] + b in the order u, f, o, c~,
// c<t> = u * c~ + f * c<t-1>, a<t> = o * tanh(c<t>).
#include "gates.hpp"
#include "through_time.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class LSTM : public ThroughTime<T> {
 public:
  using Now = typename ThroughTime<T>::Now;
  static constexpr int L = LANES<T>;

  // Of each step u, f, o, c~, then c and tanh(c).
  explicit LSTM(StageSpec<T> spec)
      : ThroughTime<T>(spec, 4, {4 * spec.out.channels}, 0, 6 * spec.out.channels, 2),
        W_(4, this->n_, this->n_ + this->n_x_),
        W_a_(this->n_, this->rows_),
        W_x_(this->n_x_, this->rows_) {}

  void pack(int t, int threads) override {
    const T* W = this->spec_.parameters[0].values;
    const size_t column = size_t(this->rows_);
    W_.pack(W, this->spec_.parameters[1].values, column, t, threads);
    W_a_.pack(W, column, 1, t, threads);
    W_x_.pack(W + column * this->n_, column, 1, t, threads);
  }

 protected:
  void step(const Now& now) const override {
    const size_t w = size_t(now.w);
    W_(now.block, this->counted_.data(), now.w, now.Z,
       [&](int first, int units, const T* Z) { cell(now, Z, first * w, units * w); });
  }

  // `some` numbers of the gates, Z, become those of the state from `first` on.
  void cell(const Now& now, const T* Z, size_t first, size_t some) const {
    const size_t state = size_t(this->n_) * now.w;
    T *u = now.noted + first, *f = u + state, *o = f + state, *candidate = o + state;
    T *c = candidate + state, *tanh_c = c + state, *a = now.a + first;
    const T* before = now.noted_before ? now.noted_before + 4 * state + first : nullptr;
    for (size_t k = 0; k < some; k += L, Z += L) {
      const Vec<T> z[] = {load(Z), load(Z + some), load(Z + 2 * some), load(Z + 3 * some)};
      Vec<T> gate[4];
      gates_of_lstm<T>(z, gate);
      store(u + k, gate[0]);
      store(f + k, gate[1]);
      store(o + k, gate[2]);
      store(candidate + k, gate[3]);
      const Vec<T> entered = gate[0] * gate[3];
      store(c + k, before ? fma(gate[1], load(before + k), entered) : entered);
    }
    each_tanh(c, some, [&](size_t k, Vec<T> through) {
      store(tanh_c + k, through);
      store(a + k, load(o + k) * through);
    });
  }

  void hold_more(const Now& now, int e) const override {
    const size_t state = size_t(this->n_) * now.w;
    T* c = now.noted + 4 * state;
    for (int k = 0; k < this->n_; ++k) {
      const size_t at = size_t(k) * now.w + e;
      c[at] = now.noted_before ? now.noted_before[4 * state + at] : T(0);
    }
  }

  void step_back(const Now& now, const T* d, T* d_before, T* dZ, T* dA_prev, const int* x_rows,
                 T*) const override {
    const size_t state = size_t(this->n_) * now.w;
    const T *u = now.noted, *f = u + state, *o = f + state, *candidate = o + state;
    const T* tanh_c = candidate + 2 * state;
    const T* before = now.noted_before ? now.noted_before + 4 * state : nullptr;
    const Vec<T> one = broadcast(T(1));
    for (size_t k = 0; k < state; k += L) {
      const Vec<T> gu = load(u + k), gf = load(f + k), go = load(o + k), gc = load(candidate + k);
      const Vec<T> through = load(tanh_c + k), da = load(d + k);
      const Vec<T> dc = fma(da * go, one - through * through, load(d + state + k));
      const Vec<T> c = before ? load(before + k) : Vec<T>{};
      store(dZ + k, dc * gc * (gu * (one - gu)));
      store(dZ + state + k, dc * c * (gf * (one - gf)));
      store(dZ + 2 * state + k, da * through * (go * (one - go)));
      store(dZ + 3 * state + k, dc * gu * (one - gc * gc));
      store(d_before + state + k, dc * gf);
    }
    W_a_(dZ, this->counted_.data(), now.w, nullptr, d_before, this->counted_.data());
    if (dA_prev) W_x_(dZ, this->counted_.data(), now.w, nullptr, dA_prev, x_rows);
  }

 private:
  Forward<T> W_;
  Product<T> W_a_, W_x_;
};

}  // namespace

PELLUCID_KIND(lstm, LSTM)

}  // namespace pellucid::PELLUCID_LEVEL::stages
