// Stages that only move numbers: `add` (Residual), `take` and `concat` (Parallel).
#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

// A = A_1 + A_2 + ...
template <class T>
class Add : public Stage<T> {
 public:
  explicit Add(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  void join(const Pass& pass, const T* const* entered, T* A, T*, T*) const override {
    const int w = pass.width, n = this->out().n();
    std::memcpy(A, entered[0], size_t(n) * w * sizeof(T));
    for (size_t i = 0; i < this->spec_.others.size(); ++i)
      for_rows(this->spec_.others[i], [&](int to, int from) {
        for (int e = 0; e < w; ++e) A[size_t(to) * w + e] += entered[i + 1][size_t(from) * w + e];
      });
  }

  void part(const Pass& pass, const T* const*, const T*, T* dA, T* const* back, T*, T*, T* const*,
            bool) const override {
    const int w = pass.width, n = this->out().n();
    if (back[0]) std::memcpy(back[0], dA, size_t(n) * w * sizeof(T));
    for (size_t i = 0; i < this->spec_.others.size(); ++i)
      if (back[i + 1])
        for_rows(this->spec_.others[i], [&](int to, int from) {
          std::memcpy(back[i + 1] + size_t(from) * w, dA + size_t(to) * w, size_t(w) * sizeof(T));
        });
  }

 private:
  // Call f(row of A, row of an input) for each number.
  template <class F>
  void for_rows(const Shape& input, F f) const {
    for (int place = 0; place < input.places(); ++place)
      for (int c = 0; c < input.channels; ++c) f(this->out().at(place, c), input.at(place, c));
  }
};

// Of each place the channels from `first` on.
template <class T>
class Take : public Stage<T> {
 public:
  explicit Take(StageSpec<T> spec) : Stage<T>(std::move(spec)), first_(this->spec_.whole("first")) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T*) const override {
    for_rows([&](int to, int from) { copy(A, to, A_prev, from, pass.width); });
  }

  void backward(const Pass& pass, const T*, const T*, T* dA, T* dA_prev, T*, T*, T* const*,
                bool) const override {
    if (!dA_prev) return;
    std::memset(static_cast<void*>(dA_prev), 0, size_t(this->in().n()) * pass.width * sizeof(T));
    for_rows([&](int to, int from) { copy(dA_prev, from, dA, to, pass.width); });
  }

 private:
  template <class F>
  void for_rows(F f) const {
    for (int place = 0; place < this->out().places(); ++place)
      for (int c = 0; c < this->out().channels; ++c)
        f(this->out().at(place, c), this->in().at(place, first_ + c));
  }
  static void copy(T* to, int row, const T* from, int from_row, int width) {
    std::memcpy(to + size_t(row) * width, from + size_t(from_row) * width,
                size_t(width) * sizeof(T));
  }

  int first_;
};

// The channels of all inputs below each other, place by place.
template <class T>
class Concat : public Stage<T> {
 public:
  explicit Concat(StageSpec<T> spec) : Stage<T>(std::move(spec)) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

  void join(const Pass& pass, const T* const* entered, T* A, T*, T*) const override {
    const size_t w = size_t(pass.width);
    for_rows([&](size_t i, int to, int from) {
      std::memcpy(A + to * w, entered[i] + from * w, w * sizeof(T));
    });
  }

  void part(const Pass& pass, const T* const*, const T*, T* dA, T* const* back, T*, T*, T* const*,
            bool) const override {
    const size_t w = size_t(pass.width);
    for_rows([&](size_t i, int to, int from) {
      if (back[i]) std::memcpy(back[i] + from * w, dA + to * w, w * sizeof(T));
    });
  }

 private:
  // Call f(input, row of A, row of the input) for each number.
  template <class F>
  void for_rows(F f) const {
    int first = 0;
    for (size_t i = 0; i <= this->spec_.others.size(); ++i) {
      const Shape& input = i ? this->spec_.others[i - 1] : this->in();
      for (int place = 0; place < input.places(); ++place)
        for (int c = 0; c < input.channels; ++c)
          f(i, this->out().at(place, first + c), input.at(place, c));
      first += input.channels;
    }
  }
};

}  // namespace

PELLUCID_KIND(add, Add)
PELLUCID_KIND(take, Take)
PELLUCID_KIND(concat, Concat)

}  // namespace pellucid::PELLUCID_LEVEL::stages
