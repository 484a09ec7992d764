// Kernels for one example straight from the lectures' arrays: nothing is packed, the vector goes
// along units, filters or channels, and every sum is in the order of the slices', so the bits are
// the same.
#pragma once

#include <algorithm>

#include "../buffer.hpp"
#include "../vec.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// z[o] = start[o] + sum over k < K of x[k] W[k * column + o] for NV vectors of units, the last of
// them `last` numbers.
template <class T, int NV>
static void some_units(const T* x, int K, const T* W, size_t column, const T* start, T* z,
                       int last) {
  constexpr int L = LANES<T>;
  Vec<T> c[NV];
  for (int v = 0; v < NV; ++v)
    c[v] = v < NV - 1 ? load(start + v * L) : load_up_to(start + v * L, last);
  const auto sum = [&](auto load_last) {
    for (int k = 0; k < K; ++k, W += column) {
      const Vec<T> a = broadcast(x[k]);
      for (int v = 0; v < NV - 1; ++v) c[v] = fma(load(W + v * L), a, c[v]);
      c[NV - 1] = fma(load_last(W + (NV - 1) * L), a, c[NV - 1]);
    }
  };
  if (last == L)
    sum([](const T* from) { return load(from); });
  else
    sum([last](const T* from) { return load_up_to(from, last); });
  for (int v = 0; v < NV; ++v)
    if (v < NV - 1)
      store(z + v * L, c[v]);
    else
      store_up_to(z + v * L, c[v], last);
}

// The same for n units. `start` may be z: then the sum goes on.
template <class T>
static void units(const T* x, int K, const T* W, size_t column, int n, const T* start, T* z) {
  constexpr int L = LANES<T>;
  int o = 0;
  for (; o + 8 * L <= n; o += 8 * L) some_units<T, 8>(x, K, W + o, column, start + o, z + o, L);
  for (; o + 4 * L <= n; o += 4 * L) some_units<T, 4>(x, K, W + o, column, start + o, z + o, L);
  for (; o < n; o += L) some_units<T, 1>(x, K, W + o, column, start + o, z + o, std::min(L, n - o));
}

// What a filter of a convolution sees: x is [row][column][channel], W
// [row][column][channel][filter] with `column` numbers from an input to the next.
struct Patch {
  int channels, rows, columns;
  size_t row, place;  // in x, from a row and a column to the next
};

// One vector of filters at XT places, `step` numbers apart in x; W has whole vectors.
template <class T, int XT>
static void some_places(const Patch& patch, const T* x, size_t step, const T* W, size_t column,
                        const T* bias, T* z, size_t next) {
  Vec<T> c[XT];
  for (int p = 0; p < XT; ++p) c[p] = load(bias);
  for (int k = 0; k < patch.channels; ++k)
    for (int ky = 0; ky < patch.rows; ++ky)
      for (int kx = 0; kx < patch.columns; ++kx) {
        const Vec<T> w = load(W + (size_t(ky * patch.columns + kx) * patch.channels + k) * column);
        const T* a = x + ky * patch.row + kx * patch.place + k;
#pragma GCC unroll 8
        for (int p = 0; p < XT; ++p) c[p] = fma(w, broadcast(a[p * step]), c[p]);
      }
  for (int p = 0; p < XT; ++p) store(z + p * next, c[p]);
}

// A row of `places`. z has `next` numbers from a place to the next.
template <class T>
static void row_of_places_of_one(const Patch& patch, const T* x, size_t step, int places,
                                 const T* W, size_t column, const T* bias, T* z, size_t next) {
  int p = 0;
  for (; p + 8 <= places; p += 8)
    some_places<T, 8>(patch, x + p * step, step, W, column, bias, z + p * next, next);
  for (; p + 4 <= places; p += 4)
    some_places<T, 4>(patch, x + p * step, step, W, column, bias, z + p * next, next);
  for (; p < places; ++p)
    some_places<T, 1>(patch, x + p * step, step, W, column, bias, z + p * next, next);
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
