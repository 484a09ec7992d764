// Between numbers that lie together example by example and a slice's matrix, where those of a row
// are of as many examples.
#pragma once

#include "../buffer.hpp"
#include "../vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

constexpr int MOST_WIDE = 32;  // examples of a slice

// `n` rows of numbers, each `from` + e * from_stride, into columns: number k of row e at
// to[row(k) * width + e].
template <class T, class Row>
static void into_columns(const T* const* from, int count, int n, int width, Row row, T* to) {
  constexpr int L = LANES<T>;
  for (int e = 0; e < width; e += L)
    for (int k = 0; k < n; k += L) {
      Vec<T> square[L];
      const int left = n - k < L ? n - k : L;
      for (int i = 0; i < L; ++i)
        square[i] = e + i < count ? load_up_to(from[e + i] + k, left) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < left; ++i) store(to + size_t(row(k + i)) * width + e, square[i]);
    }
}

// And back: number k of example e to to[e][k].
template <class T, class Row>
static void out_of_columns(const T* from, int count, int n, int width, Row row, T* const* to) {
  constexpr int L = LANES<T>;
  for (int e = 0; e < count; e += L)
    for (int k = 0; k < n; k += L) {
      Vec<T> square[L];
      const int left = n - k < L ? n - k : L;
      for (int i = 0; i < L; ++i)
        square[i] = i < left ? load(from + size_t(row(k + i)) * width + e) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < L && e + i < count; ++i) store_up_to(to[e + i] + k, square[i], left);
    }
}

}  // namespace pellucid::PELLUCID_LEVEL
