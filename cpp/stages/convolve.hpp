// The kernels of a convolution on a slice, lanes are examples.
//
// A volume is [channel][row][column][width]. Nothing is unrolled into patches: a register tile is
// some filters by some neighbouring places, and each weight is multiplied into the vectors that lie
// `kx` further on. Every output is summed over channel, row, column of the window, in this order,
// one fma a term.
#pragma once

#include <algorithm>

#include "../buffer.hpp"
#include "../vec.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

// Sums of a register tile: 24 of 32 registers, or 12 of 16.
constexpr int SUMS = PELLUCID_BYTES == 64 ? 24 : 12;

// How a convolution reads and writes, in numbers: from a channel, a row, a column to the next.
struct Walk {
  size_t channel, row, column;
};
struct Window {
  int channels, rows, columns;  // of a filter
  int step_rows, step_columns;
  int out_rows, out_columns;
  int first = 0, last = rows;  // of the window's rows those that see more than a border of zeros
};

// W of a tile of FT filters is [channel][row][column][FT]: some columns of a row of the output.
template <class T, int FT, int XT, bool RELU>
static void place_tile(const Window& window, const T* in, const Walk& from, const T* W,
                       const T* bias, T* out, const Walk& to, int filters) {
  const size_t skipped = size_t(window.rows - window.last + window.first) * window.columns * FT;
  W += size_t(window.first) * window.columns * FT;
  Vec<T> c[FT][XT];
#pragma GCC unroll 8
  for (int f = 0; f < FT; ++f)
#pragma GCC unroll 24
    for (int x = 0; x < XT; ++x) c[f][x] = bias ? broadcast(bias[f]) : Vec<T>{};
  const size_t step = size_t(window.step_columns) * from.column;
  for (int k = 0; k < window.channels; ++k, W += skipped)
    for (int ky = window.first; ky < window.last; ++ky) {
      const T* a = in + k * from.channel + ky * from.row;
      for (int kx = 0; kx < window.columns; ++kx, a += from.column, W += FT) {
        Vec<T> v[XT];
#pragma GCC unroll 24
        for (int x = 0; x < XT; ++x) v[x] = load(a + x * step);
#pragma GCC unroll 8
        for (int f = 0; f < FT; ++f) {
          const Vec<T> w = broadcast(W[f]);
#pragma GCC unroll 24
          for (int x = 0; x < XT; ++x) c[f][x] = fma(w, v[x], c[f][x]);
        }
      }
    }
#pragma GCC unroll 8
  for (int f = 0; f < FT; ++f) {
    if (f >= filters) break;
#pragma GCC unroll 24
    for (int x = 0; x < XT; ++x) {
      const Vec<T> z = RELU ? max<T>(c[f][x], Vec<T>{}) : c[f][x];
      store(out + f * to.channel + x * to.column, z);
    }
  }
}

template <class T, int FT, bool RELU, int XT = SUMS / FT>
static void place_tile_of(int places, const Window& window, const T* in, const Walk& from,
                          const T* W, const T* bias, T* out, const Walk& to, int filters) {
  if constexpr (XT > 1)
    if (places < XT)
      return place_tile_of<T, FT, RELU, XT - 1>(places, window, in, from, W, bias, out, to,
                                                filters);
  place_tile<T, FT, XT, RELU>(window, in, from, W, bias, out, to, filters);
}

// One row of the output for a tile of filters and one vector of examples, columns as even as can
// be.
template <class T, int FT, bool RELU>
static void row_of_places(const Window& window, const T* in, const Walk& from, const T* W,
                          const T* bias, T* out, const Walk& to, int filters) {
  constexpr int XT = SUMS / FT;
  for (int x = 0; x < window.out_columns;) {
    const int left = window.out_columns - x, count = (left + XT - 1) / XT;
    const int some = (left + count - 1) / count;
    place_tile_of<T, FT, RELU>(some, window,
                               in + size_t(x) * size_t(window.step_columns) * from.column, from, W,
                               bias, out + size_t(x) * to.column, to, filters);
    x += some;
  }
}

// Filters of a tile: those that leave fewest of it empty.
inline int filters_together(int n) {
  const auto all = [n](int tile) { return (n + tile - 1) / tile * tile; };
  return n < 3 ? n : all(6) < all(4) ? 6 : n == 3 ? 3 : 4;
}

template <class T, bool RELU>
static void row_of_tile(int together, const Window& window, const T* in, const Walk& from,
                        const T* W, const T* bias, T* out, const Walk& to, int filters) {
  switch (together) {
    case 1:
      return row_of_places<T, 1, RELU>(window, in, from, W, bias, out, to, filters);
    case 2:
      return row_of_places<T, 2, RELU>(window, in, from, W, bias, out, to, filters);
    case 3:
      return row_of_places<T, 3, RELU>(window, in, from, W, bias, out, to, filters);
    case 6:
      return row_of_places<T, 6, RELU>(window, in, from, W, bias, out, to, filters);
    default:
      return row_of_places<T, 4, RELU>(window, in, from, W, bias, out, to, filters);
  }
}

// A bank of filters in tiles. W(f, channel, row, column) is asked of `weight`.
template <class T>
class Bank {
 public:
  Bank() = default;
  Bank(int filters, const Window& window)
      : filters_(filters),
        together_(filters_together(filters)),
        each_(size_t(together_) * window.channels * window.rows * window.columns),
        window_(window),
        W_(each_ * tiles()) {}

  int tiles() const { return (filters_ + together_ - 1) / together_; }

  template <class F>
  void pack(int j, F weight) {
    T* to = W_ + each_ * j;
    for (int c = 0; c < window_.channels; ++c)
      for (int ky = 0; ky < window_.rows; ++ky)
        for (int kx = 0; kx < window_.columns; ++kx)
          for (int f = 0; f < together_; ++f)
            *to++ = j * together_ + f < filters_ ? weight(j * together_ + f, c, ky, kx) : T(0);
  }

  // Row y of the output of all filters, `width` examples. Of the window's rows `first_row` ...
  // `last_row` - 1 see more than zeros.
  void row(int y, const T* in, const Walk& from, const T* bias, bool relu, T* out, const Walk& to,
           int width, int first_row, int last_row) const {
    Window window = window_;
    window.first = first_row;
    window.last = last_row;
    in += size_t(y) * window_.step_rows * from.row;
    out += size_t(y) * to.row;
    for (int e = 0; e < width; e += LANES<T>)
      for (int j = 0; j < tiles(); ++j) {
        const int first = j * together_, filters = std::min(together_, filters_ - first);
        T start[6] = {};
        for (int f = 0; bias && f < filters; ++f) start[f] = bias[first + f];
        const auto go = relu ? row_of_tile<T, true> : row_of_tile<T, false>;
        go(together_, window, in + e, from, W_ + each_ * j, start, out + e + first * to.channel, to,
           filters);
      }
  }

 private:
  int filters_ = 0, together_ = 1;
  size_t each_ = 0;  // numbers of a tile
  Window window_{};
  Buffer<T> W_;
};

// Some rows of dZ and of what entered, the columns of the output and the vectors of a column.
template <class T>
struct GradientRows {
  int rows, columns, vectors;
  size_t d_row, a_row;
  const T* D;  // dZ of a filter, and how far on the next filter's is, and the next column
  size_t next_filter, d_column;
  const T* A;               // where the window of the first column begins
  size_t a_step, a_column;  // to that of the next; to the window's next column
};

// G[f][kx] += sum over the columns x of D[f][x] A[x step + kx], lane by lane, for FT filters and KT
// columns of a window.
template <class T, int FT, int KT>
static void gradient_tile(const GradientRows<T>& rows, int first, T* G, size_t g_filter) {
  constexpr int L = LANES<T>;
  Vec<T> c[FT][KT];
#pragma GCC unroll 8
  for (int f = 0; f < FT; ++f)
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k) c[f][k] = load(G + f * g_filter + k * L);
  for (int y = 0; y < rows.rows; ++y) {
    const T *D = rows.D + y * rows.d_row, *A = rows.A + y * rows.a_row + first * rows.a_column;
    for (int x = 0; x < rows.columns; ++x, D += rows.d_column, A += rows.a_step)
      for (int v = 0; v < rows.vectors; ++v) {
        Vec<T> d[FT];
#pragma GCC unroll 8
        for (int f = 0; f < FT; ++f) d[f] = load(D + f * rows.next_filter + v * L);
#pragma GCC unroll 8
        for (int k = 0; k < KT; ++k) {
          const Vec<T> a = load(A + k * rows.a_column + v * L);
#pragma GCC unroll 8
          for (int f = 0; f < FT; ++f) c[f][k] = fma(d[f], a, c[f][k]);
        }
      }
  }
#pragma GCC unroll 8
  for (int f = 0; f < FT; ++f)
#pragma GCC unroll 8
    for (int k = 0; k < KT; ++k) store(G + f * g_filter + k * L, c[f][k]);
}

constexpr int MOST_TAPS = 5;  // of a tile

template <class T, int FT, int KT = MOST_TAPS>
static void gradient_taps(int taps, const GradientRows<T>& rows, int first, T* G, size_t g_filter) {
  if constexpr (KT > 1)
    if (taps < KT) return gradient_taps<T, FT, KT - 1>(taps, rows, first, G, g_filter);
  if constexpr (FT * KT <= SUMS) gradient_tile<T, FT, KT>(rows, first, G, g_filter);
}

// Filters of a tile for so many taps.
inline int filters_of_gradient(int taps, int left) {
  int some = 8;
  while (some > 1 && (some * std::min(taps, MOST_TAPS) > SUMS || some > left)) some /= 2;
  return some;
}

template <class T>
static void gradient_of_rows(int together, int taps, const GradientRows<T>& rows, T* G,
                             size_t g_filter) {
  const auto go = together == 8   ? gradient_taps<T, 8>
                  : together == 4 ? gradient_taps<T, 4>
                  : together == 2 ? gradient_taps<T, 2>
                                  : gradient_taps<T, 1>;
  for (int k = 0; k < taps; k += MOST_TAPS)
    go(std::min(MOST_TAPS, taps - k), rows, k, G + size_t(k) * LANES<T>, g_filter);
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
