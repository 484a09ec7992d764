// A = g(A_prev), number by number.
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

template <class T>
class Activation : public Stage<T> {
 public:
  explicit Activation(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T*) const override {
    this->activate(A_prev, A, size_t(this->in().n()) * pass.width);
  }

  void backward(const Pass& pass, const T* A_prev, const T* A, T* dA, T* dA_prev, T*, T*, T* const*,
                bool) const override {
    const size_t n = size_t(this->in().n()) * pass.width;
    if (!dA_prev) return;
    this->slope(A_prev, A, dA, n);
    std::memcpy(dA_prev, dA, n * sizeof(T));
  }
};

template <class T>
std::unique_ptr<Stage<T>> make_activation(StageSpec<T> spec) {
  return std::make_unique<Activation<T>>(std::move(spec));
}
template std::unique_ptr<Stage<float>> make_activation(StageSpec<float>);
template std::unique_ptr<Stage<double>> make_activation(StageSpec<double>);

}  // namespace pellucid::PELLUCID_LEVEL::stages
