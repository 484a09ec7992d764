// The three matrix products of a layer, on matrices laid out in panels.
//
// A matrix of n units for B examples is n / PANEL panels; a panel is B rows of PANEL numbers, an
// example each, so unit k of example r stands at (k / PANEL) * stride + r * PANEL + k % PANEL. W[l]
// is kept twice: Wf, panels over its outputs with a row for each input, and Wb, panels over its
// inputs with a row for each output.
//
// Every output element is summed by one thread in the order of the summation index, one fma a term,
// so its bits do not depend on tile heights, blocks, threads or the other examples of the batch.
#pragma once

#include <cstddef>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

using std::size_t;

constexpr int TILE = 6;  // rows of a register tile: 6 x 2 accumulators, 2 vectors of W, 1 broadcast

// Rows of a block of the summation index: its part of a W panel, 16 KB, stays in the L1 cache.
template <class T>
constexpr int BLOCK_K = 16384 / (PANEL<T> * int(sizeof(T)));

inline int panels(int n, int panel) { return (n + panel - 1) / panel; }

// C[r] (+)= sum_k A[r][k] W[k], for R rows and NV vectors of one panel of C; from `start` (the
// bias) or, where that is null, going on from C.
template <class T, int R, int NV>
static void tile_nn(const T* A, size_t stride, const T* W, int K, const T* start, T* C) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  Vec<T> c[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) c[r][v] = load(start ? start + v * L : C + r * P + v * L);
  int k = 0;
  for (; k + P <= K; k += P, A += stride, W += P * P) {
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i) {
      Vec<T> w[NV];
      for (int v = 0; v < NV; ++v) w[v] = load(W + i * P + v * L);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec<T> a = broadcast(A[r * P + i]);
        for (int v = 0; v < NV; ++v) c[r][v] = fma(a, w[v], c[r][v]);
      }
    }
  }
  for (int i = 0; i < K - k; ++i) {
    Vec<T> w[NV];
    for (int v = 0; v < NV; ++v) w[v] = load(W + i * P + v * L);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<T> a = broadcast(A[r * P + i]);
      for (int v = 0; v < NV; ++v) c[r][v] = fma(a, w[v], c[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) store(C + r * P + v * L, c[r][v]);
}

// G[i] (+)= sum_b A[b][i] D[b], for R units i of one panel of A and NV vectors of one panel of D.
template <class T, int R, int NV>
static void tile_tn(const T* A, const T* D, int B, bool go_on, T* G) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  Vec<T> c[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) c[r][v] = go_on ? load(G + r * P + v * L) : Vec<T>{};
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) {
    Vec<T> d[NV];
    for (int v = 0; v < NV; ++v) d[v] = load(D + size_t(b) * P + v * L);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<T> a = broadcast(A[size_t(b) * P + r]);
      for (int v = 0; v < NV; ++v) c[r][v] = fma(a, d[v], c[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) store(G + r * P + v * L, c[r][v]);
}

// Call f(first, R) for tiles of R = 1 ... TILE rows, as even in height as can be.
template <class F>
PELLUCID_INLINE void for_tiles(int first, int last, F f) {
  while (first < last) {
    const int left = last - first, count = (left + TILE - 1) / TILE;
    const int height = (left + count - 1) / count;
    f(first, height);
    first += height;
  }
}

template <class T, int NV>
static void rows_nn(const T* A, size_t stride, const T* W, int K, const T* start, T* C, int r0,
                    int r1) {
  constexpr int P = PANEL<T>;
  for_tiles(r0, r1, [&](int r, int height) {
    const T* a = A + size_t(r) * P;
    T* c = C + size_t(r) * P;
    switch (height) {
      case 1:
        return tile_nn<T, 1, NV>(a, stride, W, K, start, c);
      case 2:
        return tile_nn<T, 2, NV>(a, stride, W, K, start, c);
      case 3:
        return tile_nn<T, 3, NV>(a, stride, W, K, start, c);
      case 4:
        return tile_nn<T, 4, NV>(a, stride, W, K, start, c);
      case 5:
        return tile_nn<T, 5, NV>(a, stride, W, K, start, c);
      default:
        return tile_nn<T, 6, NV>(a, stride, W, K, start, c);
    }
  });
}

// Panels p0 ... p1 - 1 and rows r0 ... r1 - 1 of C = A W (+ bias), A with K units, C with N.
// `W` holds a panel of C as `depth` rows of PANEL. Without a bias C starts from 0.
template <class T>
static void product_nn(const T* A, size_t stride, const T* W, int depth, int K, int N,
                       const T* bias, T* C, int p0, int p1, int r0, int r1) {
  constexpr int P = PANEL<T>, L = LANES<T>, KC = BLOCK_K<T>;
  static const T zeros[P] = {};
  for (int k0 = 0; k0 < K; k0 += KC) {
    const int kc = K - k0 < KC ? K - k0 : KC;
    const T* a = A + size_t(k0 / P) * stride;
    for (int p = p0; p < p1; ++p) {
      const T* w = W + (size_t(p) * depth + k0) * P;
      const T* start = k0 ? nullptr : bias ? bias + p * P : zeros;
      T* c = C + size_t(p) * stride;
      if (N - p * P <= L)
        rows_nn<T, 1>(a, stride, w, kc, start, c, r0, r1);
      else
        rows_nn<T, 2>(a, stride, w, kc, start, c, r0, r1);
    }
  }
}

template <class T, int NV>
static void block_tn_rows(const T* A, const T* D, int B, int rows, bool go_on, T* G) {
  constexpr int P = PANEL<T>;
  for_tiles(0, rows, [&](int r, int height) {
    T* g = G + r * P;
    switch (height) {
      case 1:
        return tile_tn<T, 1, NV>(A + r, D, B, go_on, g);
      case 2:
        return tile_tn<T, 2, NV>(A + r, D, B, go_on, g);
      case 3:
        return tile_tn<T, 3, NV>(A + r, D, B, go_on, g);
      case 4:
        return tile_tn<T, 4, NV>(A + r, D, B, go_on, g);
      case 5:
        return tile_tn<T, 5, NV>(A + r, D, B, go_on, g);
      default:
        return tile_tn<T, 6, NV>(A + r, D, B, go_on, g);
    }
  });
}

// Examples of A and D that stay in the L1 cache while all tiles of a block go over them.
template <class T>
constexpr int BLOCK_B = 8192 / (PANEL<T> * int(sizeof(T)));

// One block of dW^T = A^T D: `rows` units of a panel of A by a panel of D with `columns` units.
template <class T>
static void block_tn(const T* A, const T* D, int B, int rows, int columns, bool go_on, T* G) {
  for (int b = 0; b < B; b += BLOCK_B<T>) {
    const int count = B - b < BLOCK_B<T> ? B - b : BLOCK_B<T>;
    const size_t at = size_t(b) * PANEL<T>;
    if (columns <= LANES<T>)
      block_tn_rows<T, 1>(A + at, D + at, count, rows, go_on || b, G);
    else
      block_tn_rows<T, 2>(A + at, D + at, count, rows, go_on || b, G);
  }
}

// The sum over B examples of a panel of D.
template <class T>
static void column_sums(const T* D, int B, bool go_on, T* sums) {
  constexpr int P = PANEL<T>, L = LANES<T>;
  for (int v = 0; v < 2; ++v) {
    Vec<T> c = go_on ? load(sums + v * L) : Vec<T>{};
    for (int b = 0; b < B; ++b) c += load(D + size_t(b) * P + v * L);
    store(sums + v * L, c);
  }
}

}  // namespace pellucid::PELLUCID_LEVEL
