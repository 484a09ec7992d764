// MaxPool, AveragePool and GlobalPool: the largest number that a window sees, or the mean.
//
// Where several numbers of a window are the largest, each gets the same share of dA.
#include <limits>

#include "stage.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

namespace {

// What the two share: each number of the output sees some numbers of one channel of the input.
template <class T>
class Pool : public Stage<T> {
 public:
  static constexpr int L = LANES<T>;

  explicit Pool(StageSpec<T> spec) : Stage<T>(std::move(spec)), max_(this->spec_.whole("max")) {
    this->spec_.out.channels_first = this->spec_.in.channels_first;
  }

 protected:
  // Rows of a window: call f(row) for each.
  struct Window {
    int row, rows, row_stride, columns, column_stride;
    template <class F>
    PELLUCID_INLINE void each(F f) const {
      for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) f(row + y * row_stride + x * column_stride);
    }
    int size() const { return rows * columns; }
  };

  bool max_;
};

template <class T>
class WindowPool : public Pool<T> {
 public:
  static constexpr int L = LANES<T>;

  explicit WindowPool(StageSpec<T> spec)
      : Pool<T>(std::move(spec)),
        rows_(this->spec_.whole("size_rows")),
        columns_(this->spec_.whole("size_columns")),
        row_step_(this->spec_.whole("stride_rows")),
        column_step_(this->spec_.whole("stride_columns")),
        apart_(row_step_ >= rows_ && column_step_ >= columns_) {}

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T*) const override {
    const int w = pass.width;
    if (largest_of_four()) return forward_of_four(w, A_prev, A);
    const Vec<T> share = broadcast(T(1) / T(rows_ * columns_));
    for_windows([&](const auto& window, int to) {
      for (int e = 0; e < w; e += L) {
        Vec<T> a = load(A_prev + size_t(window.row) * w + e);
        bool first = true;
        window.each([&](int row) {
          const Vec<T> x = load(A_prev + size_t(row) * w + e);
          a = first ? x : this->max_ ? larger<T>(x, a) : a + x;
          first = false;
        });
        store(A + size_t(to) * w + e, this->max_ ? a : a * share);
      }
    });
  }

  void backward(const Pass& pass, const T* A_prev, const T* A, T* dA, T* dA_prev, T*, T*, T* const*,
                bool) const override {
    if (!dA_prev) return;
    const int w = pass.width;
    const bool all = largest_of_four() && this->in().rows == 2 * this->out().rows &&
                     this->in().columns == 2 * this->out().columns;
    if (!all) std::memset(static_cast<void*>(dA_prev), 0, size_t(this->in().n()) * w * sizeof(T));
    if (largest_of_four()) return backward_of_four(w, A_prev, A, dA, dA_prev);
    for_windows([&](const auto& window, int to) {
      for (int e = 0; e < w; e += L) {
        const Vec<T> a = load(A + size_t(to) * w + e), one = broadcast(T(1)), none{};
        const auto its = [&](int row) {
          if (!this->max_) return one;
          return select<T>(load(A_prev + size_t(row) * w + e) == a, one, none);
        };
        Vec<T> count{};
        window.each([&](int row) { count = count + its(row); });
        const Vec<T> d = load(dA + size_t(to) * w + e) / count;
        window.each([&](int row) {
          T* const back = dA_prev + size_t(row) * w + e;
          store(back, apart_ ? d * its(row) : fma(d, its(row), load(back)));
        });
      }
    });
  }

  int length_after(int length) const override { return (length - columns_) / column_step_ + 1; }

 private:
  // The usual pool: two by two, side by side.
  bool largest_of_four() const {
    return this->max_ && rows_ == 2 && columns_ == 2 && row_step_ == 2 && column_step_ == 2;
  }
  // Call f(four places of a window in A_prev, that in A).
  template <class F>
  PELLUCID_INLINE void for_fours(int w, F f) const {
    for_windows([&](const auto& window, int to) {
      const size_t right = size_t(window.column_stride) * w, below = size_t(window.row_stride) * w;
      for (int e = 0; e < w; e += L) {
        const size_t at = size_t(window.row) * w + e;
        const size_t four[4] = {at, at + right, at + below, at + below + right};
        f(four, size_t(to) * w + e);
      }
    });
  }
  void forward_of_four(int w, const T* A_prev, T* A) const {
    for_fours(w, [&](const size_t* four, size_t to) {
      Vec<T> a = load(A_prev + four[0]);
      for (int k = 1; k < 4; ++k) a = larger<T>(load(A_prev + four[k]), a);
      store(A + to, a);
    });
  }
  void backward_of_four(int w, const T* A_prev, const T* A, const T* dA, T* dA_prev) const {
    const Vec<T> one = broadcast(T(1)), none{};
    for_fours(w, [&](const size_t* four, size_t to) {
      const Vec<T> a = load(A + to);
      Vec<T> its[4], count{};
      for (int k = 0; k < 4; ++k) {
        its[k] = select<T>(load(A_prev + four[k]) == a, one, none);
        count = count + its[k];
      }
      const Vec<T> d = load(dA + to) / count;
      for (int k = 0; k < 4; ++k) store(dA_prev + four[k], d * its[k]);
    });
  }

  // Call f(window, row of the output).
  template <class F>
  void for_windows(F f) const {
    const Shape &in = this->in(), &out = this->out();
    for (int c = 0; c < out.channels; ++c)
      for (int y = 0; y < out.rows; ++y)
        for (int x = 0; x < out.columns; ++x) {
          const int first = y * row_step_ * in.columns + x * column_step_;
          f(typename Pool<T>::Window{in.at(first, c), rows_, in.columns * in.place_stride(),
                                     columns_, in.place_stride()},
            out.at(y * out.columns + x, c));
        }
  }

  int rows_, columns_, row_step_, column_step_;
  bool apart_;  // the windows don't overlap
};

// Over all places; of a sequence over the steps that are there.
template <class T>
class GlobalPool : public Pool<T> {
 public:
  static constexpr int L = LANES<T>;

  explicit GlobalPool(StageSpec<T> spec) : Pool<T>(std::move(spec)) {}

  void forward(const Pass& pass, const T* A_prev, T* A, T*, T*) const override {
    const int w = pass.width;
    const Vec<T> lowest = broadcast(-std::numeric_limits<T>::infinity());
    for_vectors(pass, [&](int c, int e, auto there, Vec<T> count) {
      Vec<T> a = this->max_ ? lowest : Vec<T>{};
      for (int place = 0; place < this->in().places(); ++place) {
        const Vec<T> x = load(A_prev + size_t(this->in().at(place, c)) * w + e);
        a = this->max_ ? select<T>(there(place), larger<T>(x, a), a) : a + x;  // padded steps are 0
      }
      if (this->max_) a = select<T>(a == lowest, Vec<T>{}, a);  // an example that only fills up
      store(A + size_t(this->out().at(0, c)) * w + e, this->max_ ? a : a / count);
    });
  }

  void backward(const Pass& pass, const T* A_prev, const T* A, T* dA, T* dA_prev, T*, T*, T* const*,
                bool) const override {
    if (!dA_prev) return;
    const int w = pass.width;
    for_vectors(pass, [&](int c, int e, auto there, Vec<T> count) {
      const size_t at = size_t(this->out().at(0, c)) * w + e;
      const Vec<T> a = load(A + at), one = broadcast(T(1)), none{};
      const auto its = [&](int place) {
        const Vec<T> here = select<T>(there(place), one, none);
        if (!this->max_) return here;
        const Vec<T> x = load(A_prev + size_t(this->in().at(place, c)) * w + e);
        return select<T>(x == a, here, none);
      };
      if (this->max_) {
        count = none;
        for (int place = 0; place < this->in().places(); ++place) count = count + its(place);
        count = max<T>(count, one);
      }
      const Vec<T> d = load(dA + at) / count;
      for (int place = 0; place < this->in().places(); ++place)
        store(dA_prev + size_t(this->in().at(place, c)) * w + e, d * its(place));
    });
  }

 private:
  // Call f(channel, example, there, count) for each vector of examples: there(place) says which
  // have the place, `count` how many they have, at least 1 but for the largest.
  template <class F>
  void for_vectors(const Pass& pass, F f) const {
    const int places = this->in().places();
    for (int e = 0; e < pass.width; e += L) {
      T left[L];
      for (int i = 0; i < L; ++i) left[i] = T(pass.lengths ? pass.lengths[e + i] : places);
      const Vec<T> steps = load(left), one = broadcast(T(1));
      const auto there = [&](int place) { return broadcast(T(place)) < steps; };
      for (int c = 0; c < this->in().channels; ++c) f(c, e, there, max<T>(steps, one));
    }
  }
};

}  // namespace

PELLUCID_KIND(pool, WindowPool)
PELLUCID_KIND(globalpool, GlobalPool)

}  // namespace pellucid::PELLUCID_LEVEL::stages
