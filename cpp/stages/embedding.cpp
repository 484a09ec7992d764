// Embedding: A of each place is the column of W of the word that stands there.
//
// Who starts a session has checked the word numbers; one beyond the table is no column here, so
// that nothing else is read or written.
#include <cmath>

#include "columns.hpp"
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

template <class T>
class Embedding : public Stage<T> {
 public:
  explicit Embedding(StageSpec<T> spec)
      : Stage<T>(std::move(spec)),
        n_(this->out().channels),
        words_(int(this->spec_.parameters[0].size / size_t(n_))),
        padding_(this->spec_.whole("padding")),
        stride_(size_t(n_ + LANES<T> - 1) / LANES<T> * LANES<T>) {}

  // A row of units for each example, and one of zeros.
  size_t scratch(int width) const override { return size_t(width + 1) * stride_; }

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T* scratch) const override {
    const int w = pass.width;
    const T* W = this->spec_.parameters[0].values;
    const T* from[MOST_WIDE];
    std::memset(static_cast<void*>(scratch), 0, stride_ * sizeof(T));
    for (int place = 0; place < this->in().n(); ++place) {
      for (int e = 0; e < w; ++e) {
        const int word = word_of(A_prev[size_t(this->in().row_of(place)) * w + e]);
        from[e] = word < 0 ? scratch : W + size_t(word) * n_;
      }
      into_columns(from, w, n_, w, [&](int k) { return this->out().at(place, k); }, A);
    }
  }

  void backward(const Pass& pass, const T* A_prev, const T*, T* dA, T* dA_prev, T*, T* scratch,
                T* const* gradients, bool add) const override {
    const int w = pass.width;
    T* rows[MOST_WIDE];
    for (int e = 0; e < w; ++e) rows[e] = scratch + size_t(e) * stride_;
    if (!add) std::memset(static_cast<void*>(gradients[0]), 0, size_t(words_) * n_ * sizeof(T));
    for (int place = 0; place < this->in().n(); ++place) {
      out_of_columns(dA, pass.count, n_, w, [&](int k) { return this->out().at(place, k); }, rows);
      for (int e = 0; e < pass.count; ++e) {
        const int word = word_of(A_prev[size_t(this->in().row_of(place)) * w + e]);
        if (word < 0) continue;
        T* const to = gradients[0] + size_t(word) * n_;
        for (int k = 0; k < n_; ++k) to[k] += rows[e][k];
      }
    }
    if (dA_prev)
      std::memset(static_cast<void*>(dA_prev), 0, size_t(this->in().n()) * w * sizeof(T));
  }

 private:
  // -1: the padding, or none.
  int word_of(T number) const {
    if (!(number > T(-0.5) && number < T(words_) - T(0.5))) return -1;
    const int word = int(std::nearbyint(number));
    return word == padding_ ? -1 : word;
  }

  int n_, words_, padding_;
  size_t stride_;
};

}  // namespace

PELLUCID_KIND(embedding, Embedding)

}  // namespace pellucid::PELLUCID_LEVEL::stages
