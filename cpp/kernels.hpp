// The three matrix products of a layer, on matrices laid out in panels.
//
// A matrix of n units for B examples is n / PANEL panels; a panel is B rows of PANEL numbers, an
// example each, so unit k of example r stands at (k / PANEL) * stride + r * PANEL + k % PANEL. W[l]
// is kept twice: Wf, panels over its outputs with a row for each input, and Wb, panels over its
// inputs with a row for each output.
//
// Every output element is summed by one thread in the order of the summation index, one fma a term,
// so its bits do not depend on tile heights, blocks, threads or the other examples of the batch.
// (dW of a small network is the sum of several such sums, over parts of the batch that are fixed:
// session.cpp, parts_of.)
//
// An output layer of a few units would leave most lanes empty, so it is summed lane by lane instead
// (in an order as fixed): its W is kept once, in Wb's layout, and Z with a row for each output.
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

// What becomes of a finished sum on its way to C: here, nothing. `at` is its place from that of C
// for which the object stands; from(k) stands for the place k after.
template <class T>
struct AsIs {
  PELLUCID_INLINE AsIs from(size_t) const { return *this; }
  PELLUCID_INLINE Vec<T> operator()(Vec<T> c, size_t) const { return c; }
};

// C[r] (+)= sum_k A[r][k] W[k], for R rows and NV vectors of one panel of C; from `start` (the
// bias) or, where that is null, going on from C.
template <class T, int R, int NV, class Finish>
static void tile_nn(const T* A, size_t stride, const T* W, int K, const T* start, T* C,
                    Finish finish) {
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
    for (int v = 0; v < NV; ++v) store(C + r * P + v * L, finish(c[r][v], size_t(r * P + v * L)));
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

template <class T, int NV, class Finish>
static void rows_nn(const T* A, size_t stride, const T* W, int K, const T* start, T* C, int r0,
                    int r1, Finish finish) {
  constexpr int P = PANEL<T>;
  for_tiles(r0, r1, [&](int r, int height) {
    const T* a = A + size_t(r) * P;
    T* c = C + size_t(r) * P;
    const Finish f = finish.from(size_t(r) * P);
    switch (height) {
      case 1:
        return tile_nn<T, 1, NV>(a, stride, W, K, start, c, f);
      case 2:
        return tile_nn<T, 2, NV>(a, stride, W, K, start, c, f);
      case 3:
        return tile_nn<T, 3, NV>(a, stride, W, K, start, c, f);
      case 4:
        return tile_nn<T, 4, NV>(a, stride, W, K, start, c, f);
      case 5:
        return tile_nn<T, 5, NV>(a, stride, W, K, start, c, f);
      default:
        return tile_nn<T, 6, NV>(a, stride, W, K, start, c, f);
    }
  });
}

// Panels p0 ... p1 - 1 and rows r0 ... r1 - 1 of C = finish(A W + bias), A with K units, C with N.
// `W` holds a panel of C as `depth` rows of PANEL. Without a bias C starts from 0.
template <class T, class Finish>
static void product_nn(const T* A, size_t stride, const T* W, int depth, int K, int N,
                       const T* bias, T* C, int p0, int p1, int r0, int r1, Finish finish) {
  constexpr int P = PANEL<T>, L = LANES<T>, KC = BLOCK_K<T>;
  static const T zeros[P] = {};
  for (int k0 = 0; k0 < K; k0 += KC) {
    const int kc = K - k0 < KC ? K - k0 : KC;
    const T* a = A + size_t(k0 / P) * stride;
    const auto rows = [&](int p, auto last) {
      const T* w = W + (size_t(p) * depth + k0) * P;
      const T* start = k0 ? nullptr : bias ? bias + p * P : zeros;
      T* c = C + size_t(p) * stride;
      if (N - p * P <= L)
        rows_nn<T, 1>(a, stride, w, kc, start, c, r0, r1, last);
      else
        rows_nn<T, 2>(a, stride, w, kc, start, c, r0, r1, last);
    };
    for (int p = p0; p < p1; ++p)
      k0 + KC < K ? rows(p, AsIs<T>{}) : rows(p, finish.from(size_t(p) * stride));
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

// The sum over B examples of a panel of D with `columns` units: four sums in turn.
template <class T>
static void column_sums(const T* D, int B, int columns, bool go_on, T* sums) {
  constexpr int P = PANEL<T>, L = LANES<T>;
  for (int v = 0; v * L < columns; ++v) {
    Vec<T> c[4] = {};
    if (go_on) c[0] = load(sums + v * L);
    int b = 0;
    for (; b + 4 <= B; b += 4)
      for (int q = 0; q < 4; ++q) c[q] += load(D + size_t(b + q) * P + v * L);
    for (; b < B; ++b) c[0] += load(D + size_t(b) * P + v * L);
    store(sums + v * L, (c[0] + c[1]) + (c[2] + c[3]));
  }
}

// Output layers of so few units are summed lane by lane.
template <class T>
constexpr int NARROW = LANES<T> / 2;

// c[n][first + r] = the product of example r and output n, still apart by lanes, for R examples.
template <class T, int R, int N>
static PELLUCID_INLINE void tile_dots(const T* A, size_t stride, const T* W, int depth, int K,
                                      Vec<T> (*c)[LANES<T>], int first) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  Vec<T> sum[R][N] = {};
  for (int k = 0; k < K; k += P, A += stride, W += depth * P)
    for (int v = 0; v < P && k + v < K; v += L) {
      Vec<T> w[N];
      for (int n = 0; n < N; ++n) w[n] = load(W + n * P + v);
      for (int r = 0; r < R; ++r) {
        const Vec<T> a = load(A + r * P + v);
        for (int n = 0; n < N; ++n) sum[r][n] = fma(a, w[n], sum[r][n]);
      }
    }
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < N; ++n) c[n][first + r] = sum[r][n];
}

// Rows r0 ... r1 - 1 of C = A W + bias for an output layer of N units: C has a row of `capacity`
// examples for each; A has K units, W panels of `depth` rows.
template <class T, int N = NARROW<T>>
static void product_dots(const T* A, size_t stride, const T* W, int depth, int K, int n_out,
                         const T* bias, T* C, int capacity, int r0, int r1) {
  if constexpr (N > 1) {
    if (n_out < N)
      return product_dots<T, N - 1>(A, stride, W, depth, K, n_out, bias, C, capacity, r0, r1);
  }
  constexpr int L = LANES<T>, P = PANEL<T>, R = L < 4 || N > 4 ? 2 : 4;
  for (int r = r0; r < r1; r += L) {
    const int count = r1 - r < L ? r1 - r : L;
    Vec<T> c[N][L] = {};
    int q = 0;
    for (; q + R <= count; q += R)
      tile_dots<T, R, N>(A + size_t(r + q) * P, stride, W, depth, K, c, q);
    for (; q < count; ++q) tile_dots<T, 1, N>(A + size_t(r + q) * P, stride, W, depth, K, c, q);
    for (int n = 0; n < N; ++n)
      store_up_to(C + size_t(n) * capacity + r, lane_sums<T>(c[n]) + broadcast(bias[n]), count);
  }
}

}  // namespace pellucid::PELLUCID_LEVEL
