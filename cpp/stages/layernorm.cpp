// LayerNorm: A = gamma * A_norm + beta, A_norm = (A_prev - mean) / sqrt(variance + epsilon), the
// mean and the variance those of the channels of a place.
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class LayerNorm : public Stage<T> {
 public:
  explicit LayerNorm(StageSpec<T> spec)
      : Stage<T>(std::move(spec)), epsilon_(T(this->spec_.number_of("epsilon"))) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  // A_norm (n, width), and the standard deviation of each place (places, width).
  size_t kept(int width) const override {
    return size_t(this->in().n() + this->in().places()) * width;
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T* kept, T*) const override {
    const int w = pass.width, n = this->in().channels;
    const T *gamma = this->spec_.parameters[0].values, *beta = this->spec_.parameters[1].values;
    for_vectors(w, [&](int place, int e, auto row) {
      Vec<T> sum{}, squares{};
      for (int c = 0; c < n; ++c) sum = sum + load(A_prev + row(c));
      const Vec<T> mean = sum / broadcast(T(n));
      for (int c = 0; c < n; ++c) {
        const Vec<T> apart = load(A_prev + row(c)) - mean;
        squares = fma(apart, apart, squares);
      }
      const Vec<T> std = sqrt(squares / broadcast(T(n)) + broadcast(epsilon_));
      store(stds(kept, w) + size_t(place) * w + e, std);
      for (int c = 0; c < n; ++c) {
        const Vec<T> norm = (load(A_prev + row(c)) - mean) / std;
        store(kept + row(c), norm);
        store(A + row(c), fma(broadcast(gamma[c]), norm, broadcast(beta[c])));
      }
    });
  }

  void backward(const Pass& pass, const T*, const T*, T* dA, T* dA_prev, T* kept, T*,
                T* const* gradients, bool add) const override {
    const int w = pass.width, n = this->in().channels;
    const T* gamma = this->spec_.parameters[0].values;
    sum_gradients(w, dA, kept, gradients, add);
    if (!dA_prev) return;
    for_vectors(w, [&](int place, int e, auto row) {
      Vec<T> sum{}, along{};
      for (int c = 0; c < n; ++c) {
        const Vec<T> d = broadcast(gamma[c]) * load(dA + row(c));
        sum = sum + d;
        along = fma(d, load(kept + row(c)), along);
      }
      sum = sum / broadcast(T(n));
      along = along / broadcast(T(n));
      const Vec<T> std = load(stds(kept, w) + size_t(place) * w + e);
      for (int c = 0; c < n; ++c) {
        const Vec<T> d = broadcast(gamma[c]) * load(dA + row(c));
        store(dA_prev + row(c), (d - sum - load(kept + row(c)) * along) / std);
      }
    });
  }

 private:
  T* stds(T* kept, int w) const { return kept + size_t(this->in().n()) * w; }

  // Call f(place, e, row) for each vector of examples of each place; row(c) is where channel c is.
  template <class F>
  void for_vectors(int w, F f) const {
    for (int place = 0; place < this->in().places(); ++place)
      for (int e = 0; e < w; e += LANES<T>)
        f(place, e, [&](int c) { return size_t(this->in().at(place, c)) * w + e; });
  }

  void sum_gradients(int w, const T* dA, const T* norm, T* const* gradients, bool add) const {
    for (int c = 0; c < this->in().channels; ++c) {
      Vec<T> dgamma{}, dbeta{};
      for (int place = 0; place < this->in().places(); ++place)
        for (int e = 0; e < w; e += LANES<T>) {
          const size_t at = size_t(this->in().at(place, c)) * w + e;
          dgamma = fma(load(dA + at), load(norm + at), dgamma);
          dbeta = dbeta + load(dA + at);
        }
      gradients[0][c] = (add ? gradients[0][c] : T(0)) + lane_sum<T>(dgamma);
      gradients[1][c] = (add ? gradients[1][c] : T(0)) + lane_sum<T>(dbeta);
    }
  }

  T epsilon_;
};

}  // namespace

PELLUCID_KIND(layernorm, LayerNorm)

}  // namespace pellucid::PELLUCID_LEVEL::stages
