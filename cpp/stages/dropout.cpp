// Dropout: A = A_prev * mask, the mask drawn by the example's place in the mini-batch and the unit.
#include <cmath>

#include "../philox.hpp"
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class Dropout : public Stage<T> {
 public:
  explicit Dropout(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  // The mask, (n, width).
  size_t kept(int width) const override { return size_t(this->out().n()) * width; }

  void forward(const Pass& pass, const T* A_prev, T* A, T* mask, T*) const override {
    const size_t all = size_t(this->out().n()) * pass.width;
    if (!pass.drop) {
      std::memcpy(A, A_prev, all * sizeof(T));
      return;
    }
    draw(pass, mask);
    for (size_t k = 0; k < all; k += LANES<T>) store(A + k, load(A_prev + k) * load(mask + k));
  }

  void backward(const Pass& pass, const T*, const T*, T* dA, T* dA_prev, T* mask, T*, T* const*,
                bool) const override {
    if (!dA_prev) return;
    const size_t all = size_t(this->out().n()) * pass.width;
    for (size_t k = 0; k < all; k += LANES<T>)
      store(dA_prev + k, pass.drop ? load(dA + k) * load(mask + k) : load(dA + k));
  }

 private:
  static constexpr int SOME = 256;  // draws at once

  void draw(const Pass& pass, T* mask) const {
    const double rate = this->spec_.dropout;
    const auto threshold = std::uint64_t(std::nearbyint(rate * 4294967296.0));
    const T scale = T(1) / (T(1) - T(rate));
    const int n = this->out().n();
    std::uint32_t draws[SOME];
    for (int e = 0; e < pass.width; ++e)
      for (int k = 0; k < n; k += SOME) {
        const int some = n - k < SOME ? n - k : SOME;
        const size_t element = size_t(pass.first + e) * size_t(n) + size_t(k);
        philox_words(draws, element, size_t(some), std::uint32_t(this->spec_.number),
                     std::uint32_t(pass.step), DROPOUT_STREAM, pass.seed);
        for (int i = 0; i < some; ++i)
          mask[size_t(this->out().row_of(k + i)) * pass.width + e] =
              draws[i] >= threshold ? scale : T(0);
      }
  }
};

}  // namespace

PELLUCID_KIND(dropout, Dropout)

}  // namespace pellucid::PELLUCID_LEVEL::stages
