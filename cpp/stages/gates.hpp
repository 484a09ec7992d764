// sigmoid and tanh of gates, some together: each is a long chain, and they fill one another's
// pauses. They are fractions, for a division costs as much as half a gate, and one serves two.
//
// Errors are below 4 units of the last place, but sigmoid is not less than it is at -40 (doubles:
// -80).
#pragma once

#include "../math.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

template <class T>
struct Fraction {
  Vec<T> over, under;  // under is between 1 and e^sigmoid_high + 2, so that two have a product
};

#define PELLUCID_EACH _Pragma("GCC unroll 4") for (int i = 0; i < N; ++i)

// n = 2^k and t = e^r - 1 of x = k ln 2 + r, so that e^x = n t + n; as reduce() has it.
template <class T, int N>
PELLUCID_INLINE void powers(const Vec<T>* x, Vec<T>* n, Vec<T>* t) {
  using C = Constants<T>;
  constexpr int terms = sizeof(C::exp) / sizeof(T);
  Vec<T> k[N], sum[N], square[N];
  PELLUCID_EACH n[i] = fma(x[i], constant(C::log2_e), constant(C::round));
  PELLUCID_EACH k[i] = n[i] - constant(C::round);
  PELLUCID_EACH t[i] = fma(k[i], constant(-C::ln2_high), x[i]);
  PELLUCID_EACH t[i] = fma(k[i], constant(-C::ln2_low), t[i]);
  PELLUCID_EACH n[i] = power<T>(pattern<T>(n[i]));
  PELLUCID_EACH square[i] = t[i] * t[i];
  PELLUCID_EACH sum[i] = fma(constant(C::exp[terms - 1]), t[i], constant(C::exp[terms - 2]));
#pragma GCC unroll 16
  for (int c = terms - 3; c >= 0; --c)
    PELLUCID_EACH sum[i] = fma(sum[i], t[i], constant(C::exp[c]));
  PELLUCID_EACH t[i] = fma(square[i], sum[i], t[i]);
}

// Of S gates sigmoid, e^z / (e^z + 1); of N - S after them tanh, (e^2z - 1) / (e^2z + 1): near 0
// n is 1, and the numerator as exact as t.
template <class T, int N, int S>
PELLUCID_INLINE void fractions(const Vec<T>* z, Fraction<T>* f) {
  const Vec<T> one = constant(T(1));
  Vec<T> x[N], n[N], t[N];
  PELLUCID_EACH {
    const Vec<T> high = constant(i < S ? Constants<T>::sigmoid_high : Constants<T>::tanh_high);
    x[i] = max<T>(min<T>(z[i], high), -high);
  }
  PELLUCID_EACH x[i] = i < S ? x[i] : x[i] + x[i];
  powers<T, N>(x, n, t);
  PELLUCID_EACH f[i].over = fma(n[i], t[i], i < S ? n[i] : n[i] - one);
  PELLUCID_EACH f[i].under = f[i].over + (i < S ? one : one + one);
}

template <class T>
PELLUCID_INLINE Vec<T> quotient(Fraction<T> a) {
  return a.over / a.under;
}
// Of two, into a[0] and a[1].
template <class T>
PELLUCID_INLINE void quotients(const Fraction<T>* of, Vec<T>* a) {
  const Vec<T> inverse = constant(T(1)) / (of[0].under * of[1].under);
  a[0] = of[0].over * (of[1].under * inverse);
  a[1] = of[1].over * (of[0].under * inverse);
}

// u, f, o and c~ of an LSTM from their z.
template <class T>
PELLUCID_INLINE void gates_of_lstm(const Vec<T>* z, Vec<T>* gate) {
  Fraction<T> f[4];
  fractions<T, 4, 3>(z, f);
  quotients(f, gate);
  quotients(f + 2, gate + 2);
}
// u and r of a GRU from theirs, for N vectors of units: u, r, u, r, ...
template <class T, int N>
PELLUCID_INLINE void gates_of_gru(const Vec<T>* z, Vec<T>* gate) {
  Fraction<T> f[2 * N];
  fractions<T, 2 * N, 2 * N>(z, f);
  for (int i = 0; i < N; ++i) quotients(f + 2 * i, gate + 2 * i);
}

// f(number of vectors, k) for the vectors k ... of n numbers, N at a time and the rest one by one.
template <class T, int N, class F>
PELLUCID_INLINE void in_groups(size_t n, F f) {
  constexpr int L = LANES<T>;
  size_t k = 0;
  for (; k + N * L <= n; k += N * L) f(std::integral_constant<int, N>{}, k);
  for (; k < n; k += L) f(std::integral_constant<int, 1>{}, k);
}

// tanh(Z), the result number k handed to use(k, vector).
template <class T, class F>
PELLUCID_INLINE void each_tanh(const T* Z, size_t n, F use) {
  in_groups<T, 3>(n, [&](auto count, size_t k) {
    constexpr int N = decltype(count)::value;
    Vec<T> z[N];
    Fraction<T> f[N];
    PELLUCID_EACH z[i] = load(Z + k + i * LANES<T>);
    fractions<T, N, 0>(z, f);
    PELLUCID_EACH use(k + i * LANES<T>, quotient(f[i]));
  });
}

#undef PELLUCID_EACH

}  // namespace pellucid::PELLUCID_LEVEL::stages
