// Scale: A = s * A_prev, a factor for each number.
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class Scale : public Stage<T> {
 public:
  explicit Scale(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T*) const override {
    multiply(pass.width, A_prev, A);
  }

  void backward(const Pass& pass, const T* A_prev, const T*, T* dA, T* dA_prev, T*, T*,
                T* const* gradients, bool add) const override {
    constexpr int L = LANES<T>;
    const int n = this->in().n(), w = pass.width;
    for (int k = 0; k < n; ++k) {
      const size_t at = size_t(this->in().row_of(k)) * w;
      Vec<T> sum{};
      for (int e = 0; e < w; e += L) sum = fma(load(dA + at + e), load(A_prev + at + e), sum);
      gradients[0][k] = (add ? gradients[0][k] : T(0)) + lane_sum<T>(sum);
    }
    if (dA_prev) multiply(w, dA, dA_prev);
  }

 private:
  void multiply(int w, const T* from, T* to) const {
    const T* s = this->spec_.parameters[0].values;
    for (int k = 0; k < this->in().n(); ++k) {
      const size_t at = size_t(this->in().row_of(k)) * w;
      for (int e = 0; e < w; e += LANES<T>)
        store(to + at + e, broadcast(s[k]) * load(from + at + e));
    }
  }
};

}  // namespace

PELLUCID_KIND(scale, Scale)

}  // namespace pellucid::PELLUCID_LEVEL::stages
