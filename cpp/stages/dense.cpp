// Dense: Z = W A_prev + b, A = g(Z), of a whole example or, `each_step`, of each of its places.
//
// Where the layer has a mask of connections (constants[0], 0 and 1 in W's layout), W counts as
// W * mask, and dW as dW * mask.
#include "products.hpp"
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

constexpr size_t CACHED = 24 * 1024;  // bytes of transposed dZ that are worked on together

template <class T>
class Dense : public Stage<T> {
 public:
  explicit Dense(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    const Shape &in = this->in(), &out = this->out();
    places_ = this->spec_.whole("each_step") ? in.places() : 1;
    K_ = in.n() / places_;
    n_ = out.n() / places_;
    forward_ = Product<T>(n_, K_);
    back_ = Product<T>(K_, n_);
    stride_ = size_t(n_ + LANES<T> - 1) / LANES<T> * LANES<T>;
    for (int q = 0; q < places_; ++q) {
      for (int k = 0; k < K_; ++k) from_.push_back(in.row_of(q * K_ + k));
      for (int o = 0; o < n_; ++o) to_.push_back(out.row_of(q * n_ + o));
    }
    if (places_ > 1) place_ = size_t(in.place_stride());
  }

  size_t kept(int width) const override {
    return this->spec_.needs_Z ? size_t(this->out().n()) * width : 0;
  }
  size_t scratch(int width) const override { return size_t(together(width)) * width * stride_; }

  void pack(int t, int threads) override {
    const T* W = this->spec_.parameters[0].values;
    Buffer<T> masked;
    if (!this->spec_.constants.empty()) {
      masked = Buffer<T>(size_t(K_) * n_);
      for (size_t k = 0; k < masked.size(); ++k) masked[k] = W[k] * this->spec_.constants[0][k];
      W = masked.get();
    }
    forward_.pack(W, 1, size_t(n_), t, threads);
    back_.pack(W, size_t(n_), 1, t, threads);
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T* kept, T*) const override {
    const int w = pass.width;
    T* Z = this->spec_.needs_Z ? kept : A;
    for (int q = 0; q < places_; ++q)
      forward_(A_prev, from(q), w, this->spec_.parameters[1].values, Z, to(q));
    if (this->spec_.activation != ID_Identity)
      this->activate(Z, A, size_t(this->out().n()) * w);
    else if (Z != A)
      std::memcpy(A, Z, size_t(this->out().n()) * w * sizeof(T));
  }

  void backward(const Pass& pass, const T* A_prev, const T* A, T* dA, T* dA_prev, T* kept,
                T* scratch, T* const* gradients, bool add) const override {
    const int w = pass.width, step = together(w);
    if (this->spec_.activation != ID_Identity)
      this->slope(this->spec_.needs_Z ? kept : A, A, dA, size_t(this->out().n()) * w);
    for (int first = 0; first < places_; first += step) {
      const int count = std::min(step, places_ - first);
      for (int q = 0; q < count; ++q)
        transposed(dA, to(first + q), n_, w, scratch + size_t(q) * w * stride_, stride_);
      const Sequence<T> all{A_prev, from(first), w,       pass.count,
                            count,  place_ * w,  scratch, stride_};
      product_of_gradient(all, K_, n_, add || first > 0, gradients[0], size_t(n_));
      for (int q = 0; q < count; ++q)
        sum_of_rows(scratch + size_t(q) * w * stride_, stride_, pass.count, n_,
                    add || first + q > 0, gradients[1]);
    }
    if (!this->spec_.constants.empty())
      for (size_t k = 0; k < size_t(K_) * n_; ++k) gradients[0][k] *= this->spec_.constants[0][k];
    if (!dA_prev) return;
    for (int q = 0; q < places_; ++q) back_(dA, to(q), w, nullptr, dA_prev, from(q));
  }

 private:
  const int* from(int place) const { return from_.data() + size_t(place) * K_; }
  const int* to(int place) const { return to_.data() + size_t(place) * n_; }
  // Places whose dZ is transposed at once.
  int together(int width) const {
    const size_t bytes = size_t(width) * stride_ * sizeof(T);
    return int(std::clamp<size_t>(CACHED / bytes, 1, size_t(places_)));
  }

  int places_, K_, n_;
  size_t place_ = 0;  // rows from a place of what enters to the next
  size_t stride_;     // of a row of transposed dZ
  Product<T> forward_, back_;
  std::vector<int> from_, to_;  // rows of each place's inputs and units
};

}  // namespace

PELLUCID_KIND(dense, Dense)

}  // namespace pellucid::PELLUCID_LEVEL::stages
