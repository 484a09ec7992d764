// The products of the first layer where the examples are sparse: only what is there is visited.
//
// An example is its entries, in the order of its inputs. A term that is 0 changes no sum, so with
// finite W the bits are those of kernels.hpp, as long as no input comes twice in an example.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace pellucid::PELLUCID_LEVEL {

// The entries of one example, numbers that become T's on their way.
template <class S>
struct Entries {
  const S* values;             // n
  const std::int32_t* inputs;  // n: which input each belongs to
  std::ptrdiff_t n;
};

// Where W[k][v], vector v of the units at input k, lies: panel by panel, or as the lectures have
// it.
struct Places {
  size_t row;    // from an input to the next
  size_t panel;  // from a panel of units to the next
};

// C[v] = start[v] + sum_q values[q] W[inputs[q]][v] for NV vectors, two a panel. C's panels are
// `stride` apart. `last` numbers of the last vector are there.
template <class T, int NV, class S, class Finish>
static void entries_nn(Entries<S> x, const T* W, Places at, const T* start, T* C, size_t stride,
                       int last, Finish finish) {
  constexpr int L = LANES<T>;
  Vec<T> c[NV];
  for (int v = 0; v < NV; ++v) c[v] = load(start + v * L);
  const auto sum = [&](auto load_last) {
    for (std::ptrdiff_t q = 0; q < x.n; ++q) {
      const Vec<T> a = broadcast(T(x.values[q]));
      const T* w = W + size_t(x.inputs[q]) * at.row;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const T* from = w + (v / 2) * at.panel + (v % 2) * L;
        c[v] = fma(a, v < NV - 1 ? load(from) : load_last(from), c[v]);
      }
    }
  };
  if (last == L)
    sum([](const T* from) { return load(from); });
  else
    sum([last](const T* from) { return load_part(from, last); });
  for (int v = 0; v < NV; ++v) {
    const size_t to = (v / 2) * stride + (v % 2) * L;
    store(C + to, finish(c[v], to));
  }
}

constexpr int TOGETHER_NN = 8;  // vectors of units whose sums are in registers at once

// C = finish(start + x W) for one example and units first ... end - 1, which begin a panel.
// `padded`: W has room for whole vectors of units.
template <class T, class S, class Finish>
static void sparse_nn(Entries<S> x, const T* W, Places at, bool padded, const T* start, T* C,
                      size_t stride, int first, int end, Finish finish) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  for (int unit = first; unit < end; unit += TOGETHER_NN * L) {
    const size_t panel = size_t(unit / P);
    const int left = end - unit, vectors = (left + L - 1) / L;
    const int last = padded || left >= TOGETHER_NN * L ? L : left - (vectors - 1) * L;
    const auto sum = [&]<int NV>() {
      entries_nn<T, NV>(x, W + panel * at.panel, at, start + unit, C + panel * stride, stride, last,
                        finish.from(panel * stride));
    };
    switch (vectors) {
      case 1:
        sum.template operator()<1>();
        break;
      case 2:
        sum.template operator()<2>();
        break;
      case 3:
        sum.template operator()<3>();
        break;
      case 4:
        sum.template operator()<4>();
        break;
      case 5:
        sum.template operator()<5>();
        break;
      case 6:
        sum.template operator()<6>();
        break;
      case 7:
        sum.template operator()<7>();
        break;
      default:
        sum.template operator()<8>();
    }
  }
}

// a * b + c of single numbers, rounded as a vector's lanes are.
template <class T>
PELLUCID_INLINE T fma_one(T a, T b, T c) {
  return fma(broadcast(a), broadcast(b), broadcast(c))[0];
}

// One output of an output layer of few units, lane by lane as product_dots: `place(k)` is where its
// weight for input k lies.
template <class T, class S, class Place>
static T sparse_dot(Entries<S> x, const T* W, T bias, Place place) {
  constexpr int L = LANES<T>;
  T lanes[L] = {};
  for (std::ptrdiff_t q = 0; q < x.n; ++q) {
    const int k = x.inputs[q];
    lanes[k % L] = fma_one(T(x.values[q]), W[place(k)], lanes[k % L]);
  }
  return lane_sum<T>(load(lanes)) + bias;
}

// The entries of some examples, those of a panel of inputs together, each panel's in the order of
// the examples: what dW is summed from.
template <class T>
class Turned {
 public:
  struct Entry {
    T value;
    std::int32_t row, lane;  // the example, and the input's place in the panel
  };

  // Of panels i0 ... i1 - 1 and rows r0 ... r1 - 1; `entries_of(r)` are those of row r.
  template <class F>
  void turn(int i0, int i1, int r0, int r1, F entries_of) {
    constexpr int P = PANEL<T>;
    first_ = i0;
    starts_.assign(size_t(i1 - i0) + 2, 0);
    const auto each = [&](auto f) {
      for (int r = r0; r < r1; ++r) {
        const auto x = entries_of(r);
        for (std::ptrdiff_t q = 0; q < x.n; ++q) {
          const int k = x.inputs[q], i = k / P;
          if (i0 <= i && i < i1) f(size_t(i - i0), Entry{T(x.values[q]), r, k % P});
        }
      }
    };
    each([&](size_t i, const Entry&) { ++starts_[i + 2]; });
    for (size_t i = 2; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
    if (entries_.size() < starts_.back()) entries_.resize(starts_.back());
    each([&](size_t i, const Entry& entry) { entries_[starts_[i + 1]++] = entry; });
  }

  bool has(int i) const { return first_ <= i && i < first_ + int(starts_.size()) - 2; }
  const Entry* begin(int i) const { return entries_.data() + starts_[size_t(i - first_)]; }
  const Entry* end(int i) const { return entries_.data() + starts_[size_t(i - first_) + 1]; }

 private:
  int first_ = 0;
  std::vector<size_t> starts_;  // of each panel among the entries, and the end
  std::vector<Entry> entries_;
};

// One block of dW^T: G[lane] (+)= sum over the entries of a panel of inputs of x D[row].
template <class T>
static void sparse_tn(const Turned<T>& x, int i, const T* D, int rows, int columns, bool go_on,
                      T* G) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  if (!go_on) std::memset(static_cast<void*>(G), 0, size_t(rows) * P * sizeof(T));
  for (const auto* e = x.begin(i); e != x.end(i); ++e) {
    const Vec<T> a = broadcast(e->value);
    const T* d = D + size_t(e->row) * P;
    T* g = G + e->lane * P;
    store(g, fma(a, load(d), load(g)));
    if (columns > L) store(g + L, fma(a, load(d + L), load(g + L)));
  }
}

// The same of an output layer of few units, whose G has a row for each output.
template <class T>
static void sparse_tn_narrow(const Turned<T>& x, int i, const T* D, int n_out, bool go_on, T* G) {
  constexpr int P = PANEL<T>;
  if (!go_on) std::memset(static_cast<void*>(G), 0, size_t(n_out) * P * sizeof(T));
  for (const auto* e = x.begin(i); e != x.end(i); ++e)
    for (int o = 0; o < n_out; ++o) {
      T& g = G[o * P + e->lane];
      g = fma_one(D[size_t(e->row) * P + o], e->value, g);
    }
}

}  // namespace pellucid::PELLUCID_LEVEL
