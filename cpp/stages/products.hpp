// The products of a layer on a slice: matrices with a row for each number, `width` examples a row.
//
// Every output element is summed in the order of the summation index, one fma a term, whatever the
// width and wherever its tile begins.
#pragma once

#include <algorithm>
#include <cstring>

#include "../buffer.hpp"
#include "../vec.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// Rows of a register tile with two vectors of examples each: with 32 registers 24 sums, 2 vectors
// of A and a broadcast; with 16 half as many.
constexpr int TALL = PELLUCID_BYTES == 64 ? 12 : 6;

// W (n, K) in tiles of `tall` rows, within a tile TALL numbers for each k; what it lacks is 0.
struct Packing {
  int n = 0, K = 0, tall = TALL;
  int tiles() const { return (n + tall - 1) / tall; }
  size_t size() const { return size_t(tiles()) * TALL * size_t(K); }
  size_t tile(int j) const { return size_t(j) * TALL * size_t(K); }
  int height(int j) const { return std::min(tall, n - j * tall); }
};

// Tile j of W, whose element (r, k) is at W[r * row + k * column]; its rows in `order`, or as they
// are.
template <class T>
static void pack_tile(const Packing& shape, const T* W, size_t row, size_t column, int j, T* packed,
                      const int* order = nullptr) {
  const int height = shape.height(j);
  size_t from[TALL];
  for (int r = 0; r < height; ++r)
    from[r] = size_t(order ? order[j * shape.tall + r] : j * shape.tall + r) * row;
  T* to = packed + shape.tile(j);
  if (column == 1 && height == TALL) {  // rows that lie together are read one after the other
    for (int r = 0; r < TALL; ++r)
      for (int k = 0; k < shape.K; ++k) to[size_t(k) * TALL + r] = W[from[r] + k];
    return;
  }
  if (row == 1 && !order && height == TALL) {
    for (int k = 0; k < shape.K; ++k, to += TALL, W += column)
      std::memcpy(to, W + from[0], TALL * sizeof(T));
    return;
  }
  for (int k = 0; k < shape.K; ++k, to += TALL, W += column)
    for (int r = 0; r < TALL; ++r) to[r] = r < height ? W[from[r]] : T(0);
}

// C[r] = start[r] (null: 0) + sum_k W[r][k] A[k], for R rows of C and NV vectors of examples. Row k
// of A is at A + rows[k] * width, row r of C at C + to[r] * width.
template <class T, int R, int NV>
static void tile(const T* W, int K, const T* A, const int* rows, int width, const T* start, T* C,
                 const int* to) {
  constexpr int L = LANES<T>;
  Vec<T> c[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) c[r][v] = start ? broadcast(start[r]) : Vec<T>{};
  for (int k = 0; k < K; ++k, W += TALL) {
    const T* a = A + size_t(rows[k]) * width;
    Vec<T> x[NV];
    for (int v = 0; v < NV; ++v) x[v] = load(a + v * L);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const Vec<T> w = broadcast(W[r]);
      for (int v = 0; v < NV; ++v) c[r][v] = fma(w, x[v], c[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) store(C + size_t(to[r]) * width + v * L, c[r][v]);
}

template <class T, int NV, int R = TALL>
static void tile_of(int height, const T* W, int K, const T* A, const int* rows, int width,
                    const T* start, T* C, const int* to) {
  if constexpr (R > 1)
    if (height < R) return tile_of<T, NV, R - 1>(height, W, K, A, rows, width, start, C, to);
  tile<T, R, NV>(W, K, A, rows, width, start, C, to);
}

// Tile j of W A + `start` of its rows, which go `to` these of C, over the whole width.
template <class T>
static void rows_of_tile(const Packing& shape, const T* packed, int j, const T* A, const int* rows,
                         int width, const T* start, T* C, const int* to) {
  constexpr int L = LANES<T>;
  const T* W = packed + shape.tile(j);
  int e = 0;
  for (; e + 2 * L <= width; e += 2 * L)
    tile_of<T, 2>(shape.height(j), W, shape.K, A + e, rows, width, start, C + e, to);
  if (e < width) tile_of<T, 1>(shape.height(j), W, shape.K, A + e, rows, width, start, C + e, to);
}

// Tile j of C = W A + start.
template <class T>
static void product_tile(const Packing& shape, const T* packed, int j, const T* A, const int* rows,
                         int width, const T* start, T* C, const int* to) {
  const int first = j * shape.tall;
  rows_of_tile(shape, packed, j, A, rows, width, start ? start + first : nullptr, C, to + first);
}

// C = W A + start, of a W (n, K) that is packed again whenever it has changed.
template <class T>
class Product {
 public:
  Product() = default;
  Product(int n, int K) : shape_{n, K}, W_(shape_.size()) {}

  // Thread t's share of W, whose element (r, k) is at W[r * row + k * column].
  void pack(const T* W, size_t row, size_t column, int t, int threads) {
    for (int j = shape_.tiles() * t / threads; j < shape_.tiles() * (t + 1) / threads; ++j)
      pack_tile(shape_, W, row, column, j, W_.get());
  }

  // Row k of A is at A + rows[k] * width, row r of C at C + to[r] * width; `start` may be null.
  void operator()(const T* A, const int* rows, int width, const T* start, T* C,
                  const int* to) const {
    for (int j = 0; j < shape_.tiles(); ++j)
      product_tile(shape_, W_.get(), j, A, rows, width, start, C, to);
  }

 private:
  Packing shape_;
  Buffer<T> W_;
};

// Inputs and vectors of units of a tile of dW.
constexpr int DEEP = PELLUCID_BYTES == 64 ? 6 : 3;
constexpr int BROAD = PELLUCID_BYTES == 64 ? 4 : 3;

// Units of which the numbers of an example stand together in D: what a tile of dW reads.
template <class T>
constexpr int TOGETHER = BROAD * LANES<T>;

// What of a sequence of matrices enters a gradient: A with rows of `width` examples, row k of a
// step at A + rows[k] * width, D with the units of an example together, `stride` apart; or, lest
// rows that are far apart fall upon each other in a cache, TOGETHER units of all examples, then,
// `panel` numbers further, the next; `count` examples.
template <class T>
struct Sequence {
  const T* A;
  const int* rows;
  int width, count, steps;
  size_t next_A;  // numbers from a step to the next; of D width * stride
  const T* D;
  size_t stride;
  size_t panel = TOGETHER<T>;
};

// G[k][o] (+)= sum over steps and examples q of A[k][q] D[q][o], for R inputs k and NV vectors of
// units o. The last vector of G's row is `last` numbers.
template <class T, int R, int NV>
static void tile_of_gradient(const Sequence<T>& all, int k, size_t from, bool go_on, T* G,
                             size_t g_row, int last) {
  constexpr int L = LANES<T>;
  Vec<T> c[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v)
      c[r][v] = !go_on       ? Vec<T>{}
                : v < NV - 1 ? load(G + r * g_row + v * L)
                             : load_up_to(G + r * g_row + v * L, last);
  for (int s = 0; s < all.steps; ++s) {
    const T* a[R];
    for (int r = 0; r < R; ++r) a[r] = all.A + s * all.next_A + size_t(all.rows[k + r]) * all.width;
    const T* D = all.D + size_t(s) * all.width * all.stride + from;
    for (int q = 0; q < all.count; ++q, D += all.stride) {
      Vec<T> d[NV];
      for (int v = 0; v < NV; ++v) d[v] = load(D + v * L);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec<T> x = broadcast(a[r][q]);
        for (int v = 0; v < NV; ++v) c[r][v] = fma(x, d[v], c[r][v]);
      }
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v)
      if (v < NV - 1)
        store(G + r * g_row + v * L, c[r][v]);
      else
        store_up_to(G + r * g_row + v * L, c[r][v], last);
}

template <class T, int NV, int R = DEEP>
static void gradient_rows(int height, const Sequence<T>& all, int k, size_t from, bool go_on, T* G,
                          size_t g_row, int last) {
  if constexpr (R > 1)
    if (height < R) return gradient_rows<T, NV, R - 1>(height, all, k, from, go_on, G, g_row, last);
  tile_of_gradient<T, R, NV>(all, k, from, go_on, G, g_row, last);
}

template <class T, int NV = BROAD>
static void gradient_columns(int vectors, int height, const Sequence<T>& all, int k, size_t from,
                             bool go_on, T* G, size_t g_row, int last) {
  if constexpr (NV > 1)
    if (vectors < NV)
      return gradient_columns<T, NV - 1>(vectors, height, all, k, from, go_on, G, g_row, last);
  gradient_rows<T, NV>(height, all, k, from, go_on, G, g_row, last);
}

// G (K, n) (+)= A D, step by step: the gradient of W in the lectures' layout, the weights of an
// input together, an input's `g_row` numbers after the one before.
template <class T>
static void product_of_gradient(const Sequence<T>& all, int K, int n, bool go_on, T* G,
                                size_t g_row) {
  constexpr int L = LANES<T>;
  for (int o = 0; o < n; o += TOGETHER<T>) {
    const size_t from = size_t(o / TOGETHER<T>) * all.panel;
    const int left = std::min(n - o, TOGETHER<T>), vectors = (left + L - 1) / L;
    const int last = left - (vectors - 1) * L;
    for (int k = 0; k < K; k += DEEP)
      gradient_columns<T>(vectors, std::min(DEEP, K - k), all, k, from, go_on,
                          G + size_t(k) * g_row + o, g_row, last);
  }
}

// D (count, stride), or in panels as Sequence has it: the transpose of n rows of `width` examples,
// row k at dZ + rows[k] * width. What is beyond n in a row of D is set to 0 up to a whole vector.
template <class T>
static void transposed(const T* dZ, const int* rows, int n, int width, T* D, size_t stride,
                       size_t panel = TOGETHER<T>) {
  constexpr int L = LANES<T>;
  for (int k = 0; k < n; k += L) {
    T* const to = D + k / TOGETHER<T> * panel + k % TOGETHER<T>;
    for (int e = 0; e < width; e += L) {
      Vec<T> square[L];
      for (int i = 0; i < L; ++i)
        square[i] = k + i < n ? load(dZ + size_t(rows[k + i]) * width + e) : Vec<T>{};
      transpose<T>(square);
      for (int i = 0; i < L; ++i) store(to + size_t(e + i) * stride, square[i]);
    }
  }
}

// sums (+)= the sums of NV vectors of D's rows; `last` numbers of the last.
template <class T, int NV>
static void sum_of_vectors(const T* D, size_t stride, int count, bool go_on, T* sums, int last) {
  constexpr int L = LANES<T>;
  Vec<T> sum[NV];
  for (int v = 0; v < NV; ++v)
    sum[v] = go_on ? load_up_to(sums + v * L, v < NV - 1 ? L : last) : Vec<T>{};
  for (int q = 0; q < count; ++q, D += stride)
    for (int v = 0; v < NV; ++v) sum[v] = sum[v] + load(D + v * L);
  for (int v = 0; v < NV; ++v) store_up_to(sums + v * L, sum[v], v < NV - 1 ? L : last);
}

// sums[o] (+)= the sum of D, as above, over its rows, in their order.
template <class T>
static void sum_of_rows(const T* D, size_t stride, int count, int n, bool go_on, T* sums,
                        size_t panel = TOGETHER<T>) {
  constexpr int L = LANES<T>;
  for (int o = 0; o < n; o += TOGETHER<T>) {
    const T* from = D + o / TOGETHER<T> * panel;
    if (n - o >= TOGETHER<T>)
      sum_of_vectors<T, BROAD>(from, stride, count, go_on, sums + o, L);
    else
      for (int p = o; p < n; p += L, from += L)
        sum_of_vectors<T, 1>(from, stride, count, go_on, sums + p, std::min(L, n - p));
  }
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
