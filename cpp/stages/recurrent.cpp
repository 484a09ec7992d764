// Recurrent: Z<t> = W [a<t-1>; x<t>] + b, a<t> = g(Z<t>).
#include "through_time.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class Recurrent : public ThroughTime<T> {
 public:
  using Now = typename ThroughTime<T>::Now;

  // Z is noted where g' cannot be had from a.
  explicit Recurrent(StageSpec<T> spec)
      : ThroughTime<T>(spec, 1, {spec.out.channels}, 0, spec.needs_Z ? spec.out.channels : 0, 1),
        W_(1, this->n_, this->n_ + this->n_x_),
        W_a_(this->n_, this->n_),
        W_x_(this->n_x_, this->n_) {}

  void pack(int t, int threads) override {
    const T* W = this->spec_.parameters[0].values;
    const size_t column = size_t(this->n_);
    W_.pack(W, this->spec_.parameters[1].values, column, t, threads);
    W_a_.pack(W, column, 1, t, threads);
    W_x_.pack(W + column * this->n_, column, 1, t, threads);
  }

 protected:
  void step(const Now& now) const override {
    const size_t w = size_t(now.w);
    W_(now.block, this->counted_.data(), now.w, now.Z, [&](int first, int units, const T* Z) {
      if (this->spec_.needs_Z) std::memcpy(now.noted + first * w, Z, units * w * sizeof(T));
      this->activate(Z, now.a + first * w, units * w);
    });
  }

  void step_back(const Now& now, const T* d, T* d_before, T* dZ, T* dA_prev, const int* x_rows,
                 T*) const override {
    const size_t state = size_t(this->n_) * now.w;
    std::memcpy(dZ, d, state * sizeof(T));
    this->slope(this->spec_.needs_Z ? now.noted : now.a, now.a, dZ, state);
    W_a_(dZ, this->counted_.data(), now.w, nullptr, d_before, this->counted_.data());
    if (dA_prev) W_x_(dZ, this->counted_.data(), now.w, nullptr, dA_prev, x_rows);
  }

 private:
  Forward<T> W_;
  Product<T> W_a_, W_x_;
};

}  // namespace

PELLUCID_KIND(recurrent, Recurrent)

}  // namespace pellucid::PELLUCID_LEVEL::stages
