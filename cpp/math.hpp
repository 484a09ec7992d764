// exp, expm1, log, log1p, tanh, sigmoid and softplus of a vector, without branches.
//
// NaN gives NaN, infinities, zeros and subnormal numbers are right, results under- and overflow
// gradually. Errors are in units of the last place; tests/test_fused_math.py holds them. The
// polynomials are minimax fits of this project (Remez exchange, 60 digits); x is always a lane.
#pragma once

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr int mantissa = 23;
  static constexpr int bias = 127;
  static constexpr float round = 12582912.0f;   // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float integer = 8388608.0f;  // 2^23: its low bits hold an integer
  static constexpr float log2_e = 1.44269504088896341f;
  static constexpr float ln2_high = 0.69317626953125f;  // 14 bits: n ln2_high is exact
  static constexpr float ln2_low = -2.908897130469058e-05f;
  static constexpr float least_normal = 1.17549435e-38f;
  static constexpr float lift = 16777216.0f;  // brings subnormal numbers among the normal ones
  static constexpr int lifted = 24;
  static constexpr float exp_low = -104.0f, exp_high = 89.0f;  // beyond them e^x is 0 or inf
  static constexpr float expm1_low = -20.0f;                   // e^x - 1 is -1
  static constexpr float expm1_small = 2.9e-8f;                // e^x - 1 is x
  static constexpr float tanh_high = 10.0f;                    // tanh is 1
  static constexpr float sigmoid_high = 40.0f;                 // sigmoid is 1
  static constexpr float sigmoid_unit = 0x1p-64f;
  static constexpr float log1p_large = 0x1p60f;  // 1 + x is x
  // (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2: relative error of e^r - 1 2^-26
  static constexpr float exp[] = {0.49999998150757938847f, 0.1666654342148513999f,
                                  0.041667200472572994699f, 0.0083665473976764489328f,
                                  0.0013882528653021284302f};
  // (2 atanh(s) - 2 s) / s^3 in s^2 for |s| <= 0.1716: relative error of atanh 2^-30
  static constexpr float log[] = {0.66666776422349644995f, 0.39977536328586017674f,
                                  0.29871876658721665865f};
  // (tanh(x) - x) / x^3 in x^2 for |x| <= 0.5625: relative error of tanh 2^-29
  static constexpr float tanh[] = {-0.33333314513361369018f, 0.13332471375767348023f,
                                   -0.053839247520474394247f, 0.021014278832750164118f,
                                   -0.0061886376589243151744f};
};

template <>
struct Constants<double> {
  static constexpr int mantissa = 52;
  static constexpr int bias = 1023;
  static constexpr double round = 6755399441055744.0;    // 1.5 * 2^52
  static constexpr double integer = 4503599627370496.0;  // 2^52
  static constexpr double log2_e = 1.4426950408889634;
  static constexpr double ln2_high = 0.6931471803691238;  // 32 bits
  static constexpr double ln2_low = 1.9082149292705877e-10;
  static constexpr double least_normal = 2.2250738585072014e-308;
  static constexpr double lift = 18014398509481984.0;  // 2^54
  static constexpr int lifted = 54;
  static constexpr double exp_low = -746.0, exp_high = 710.0;
  static constexpr double expm1_low = -40.0;
  static constexpr double expm1_small = 5.5e-17;
  static constexpr double tanh_high = 20.0;
  static constexpr double sigmoid_high = 80.0;
  static constexpr double sigmoid_unit = 0x1p-512;
  static constexpr double log1p_large = 0x1p100;
  static constexpr double exp[] = {
      0.50000000000000052007,     0.16666666666666588976,   0.041666666666576460029,
      0.0083333333333897374611,   0.001388888893166915093,  0.00019841269718685791942,
      0.000024801505140696446552, 2.7557407719831969541e-6, 2.7626093501597761412e-7,
      2.5053762160181397046e-8};  // 2^-55.6
  static constexpr double log[] = {0.66666666666667344637, 0.39999999999414311476,
                                   0.28571428742475633669, 0.22222198563497391498,
                                   0.18183564862866121805, 0.15314035989789974259,
                                   0.14796103496892704423};  // 2^-59
  static constexpr double tanh[] = {
      -0.33333333333331839862,   0.13333333333101163869,    -0.05396825384317991901,
      0.021869485194734485733,   -0.0088631841041324916298, 0.0035916363921335997311,
      -0.0014528075402078250954, 0.00057793062700789276506, -0.00020834412587964834647,
      0.000049676524033641888276};  // 2^-55
};

template <class T>
PELLUCID_INLINE Vec<T> constant(T x) {
  return broadcast<T>(x);
}

// Bit patterns to compute with: unsigned, because NaN's may overflow.
template <class T>
PELLUCID_INLINE UnsignedVec<T> pattern(Vec<T> v) {
  return (UnsignedVec<T>)v;
}
template <class T>
PELLUCID_INLINE Vec<T> from_pattern(UnsignedVec<T> v) {
  return (Vec<T>)v;
}

// c[0] + c[1] x + ... by Horner.
template <class T, int N>
PELLUCID_INLINE Vec<T> polynomial(const T (&c)[N], Vec<T> x) {
  Vec<T> sum = constant(c[N - 1]);
#pragma GCC unroll 16
  for (int k = N - 2; k >= 0; --k) sum = fma(sum, x, constant(c[k]));
  return sum;
}

// The sign of x set in v as well; v is x's sign already or has none.
template <class T>
PELLUCID_INLINE Vec<T> with_sign(Vec<T> v, Vec<T> x) {
  return from_bits<T>(bits<T>(v) | (bits<T>(x) & bits<T>(constant(T(-0.0)))));
}

// x = n ln 2 + r with |r| <= ln(2) / 2: t = e^r - 1 (relative error below 1 ulp), n as a number and
// (in the low bits of `shifted`) as an integer. |x| must be moderate; NaN stays in t.
template <class T>
struct Reduced {
  Vec<T> t, n;
  UnsignedVec<T> shifted;
  Vec<T> r, rest;  // t = r + rest before rounding
};

template <class T>
PELLUCID_INLINE Reduced<T> reduce(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> shifted = fma(x, constant(C::log2_e), constant(C::round));
  const Vec<T> n = shifted - constant(C::round);
  Vec<T> r = fma(n, constant(-C::ln2_high), x);
  r = fma(n, constant(-C::ln2_low), r);
  const Vec<T> rest = r * r * polynomial(C::exp, r);
  return {r + rest, n, pattern<T>(shifted), r, rest};
}

// unit 2^n for a power of two `unit`, n in the low bits of `shifted`; the result must be normal.
template <class T>
PELLUCID_INLINE Vec<T> power(UnsignedVec<T> shifted, T unit = 1) {
  return from_pattern<T>((shifted << Constants<T>::mantissa) + pattern<T>(constant(unit)));
}

// e^x. Error < 1.1 ulp.
template <class T>
PELLUCID_INLINE Vec<T> exp(Vec<T> x) {
  using C = Constants<T>;
  x = min<T>(max<T>(x, constant(C::exp_low)), constant(C::exp_high));
  const Reduced<T> e = reduce<T>(x);
  const Vec<T> one_t = e.t + constant(T(1));
#if PELLUCID_BYTES == 64
  return scale(one_t, e.n);
#else
  // 2^n in two factors, because 2^n itself may be subnormal or too large.
  const UnsignedVec<T> half = e.shifted >> 1;
  return one_t * power<T>(half) * power<T>(e.shifted - half);
#endif
}

// e^x - 1. Error < 2 ulp.
template <class T>
PELLUCID_INLINE Vec<T> expm1(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> held = min<T>(max<T>(x, constant(C::expm1_low)), constant(C::exp_high));
  const Reduced<T> e = reduce<T>(held);
  const Vec<T> half = power<T>(e.shifted, T(0.5));  // 2^(n-1), for 2^n may be too large
  // half (e^r - 1) + (half - 1/2), the rounding error of the first sum carried along.
  const Vec<T> start = half - constant(T(0.5));
  const Vec<T> sum = fma(half, e.r, start);
  const Vec<T> y = sum + fma(half, e.rest, fma(half, e.r, start - sum));
  return select<T>(abs<T>(x) < constant(C::expm1_small), x, y + y);
}

// ln(1 + f) + k ln 2, for 1 + f between sqrt(1/2) and sqrt(2).
template <class T>
PELLUCID_INLINE Vec<T> log_near_1(Vec<T> f, Vec<T> k_high, Vec<T> k_low) {
  using C = Constants<T>;
  const Vec<T> s = f / (f + constant(T(2))), z = s * s;
  const Vec<T> half_square = f * f * constant(T(0.5));
  const Vec<T> rest = fma(z, polynomial(C::log, z), half_square);
  return k_high - ((half_square - fma(s, rest, k_low)) - f);
}

// y = 2^k m with m between sqrt(1/2) and sqrt(2); y positive and normal.
template <class T>
struct Split {
  Vec<T> m, k;
  UnsignedVec<T> exponent;  // (k + bias), in the exponent's place
};

template <class T>
PELLUCID_INLINE Split<T> split(Vec<T> y) {
  using C = Constants<T>;
  const UnsignedVec<T> root = pattern<T>(constant(T(0.70710678118654752440)));
  const UnsignedVec<T> moved = pattern<T>(y) + (pattern<T>(constant(T(1))) - root);
  const UnsignedVec<T> low = pattern<T>(constant(C::least_normal)) - 1;  // the mantissa's place
  const UnsignedVec<T> k = (moved >> C::mantissa) | pattern<T>(constant(C::integer));
  return {from_pattern<T>((moved & low) + root),
          from_pattern<T>(k) - constant(C::integer + T(C::bias)), moved & ~low};
}

// ln(x) for x positive, normal and finite: what the losses take. Error < 1 ulp.
template <class T>
PELLUCID_INLINE Vec<T> log_normal(Vec<T> x, Vec<T> shift = Vec<T>{}) {
  using C = Constants<T>;
  const Split<T> y = split<T>(x);
  const Vec<T> k = y.k - shift;
  return log_near_1<T>(y.m - constant(T(1)), k * constant(C::ln2_high), k * constant(C::ln2_low));
}

// ln(x). Error < 1 ulp.
template <class T>
PELLUCID_INLINE Vec<T> log(Vec<T> x) {
  using C = Constants<T>;
  const IntVec<T> tiny = x < constant(C::least_normal);
  const Vec<T> lifted = select<T>(tiny, x * constant(C::lift), x);
  const Vec<T> shift = select<T>(tiny, constant(T(C::lifted)), Vec<T>{});
  const Vec<T> y = log_normal<T>(lifted, shift);
  const Vec<T> edge =
      select<T>(x < Vec<T>{}, constant(T(__builtin_nan(""))), constant(-T(__builtin_inf())));
  const Vec<T> finite = select<T>(x < constant(T(__builtin_inf())), y, x);
  return select<T>(x <= Vec<T>{}, edge, finite);
}

// ln(1 + x). Error < 1.5 ulp.
template <class T>
PELLUCID_INLINE Vec<T> log1p(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> one = constant(T(1));
  const Split<T> y = split<T>(x + one);
  // 1 + f = (1 + x) 2^-k, without the rounding of 1 + x.
  const Vec<T> scale = from_pattern<T>(pattern<T>(one) + pattern<T>(one) - y.exponent);
  const Vec<T> near = fma(x, scale, scale - one);
  const Vec<T> f = select<T>(x < constant(C::log1p_large), near, y.m - one);
  const Vec<T> sum =
      with_sign<T>(log_near_1<T>(f, y.k * constant(C::ln2_high), y.k * constant(C::ln2_low)), x);
  const Vec<T> edge =
      select<T>(x < -one, constant(T(__builtin_nan(""))), constant(-T(__builtin_inf())));
  const Vec<T> finite = select<T>(x < constant(T(__builtin_inf())), sum, x);
  return select<T>(x <= -one, edge, finite);
}

// ln(1 + e) for 0 <= e <= 1. Error < 1.5 ulp.
template <class T>
PELLUCID_INLINE Vec<T> log1p_unit(Vec<T> e) {
  using C = Constants<T>;
  const IntVec<T> large = e > constant(T(0.41421356237309504880));
  const Vec<T> half = constant(T(0.5));
  const Vec<T> f = select<T>(large, fma(e, half, -half), e);
  return log_near_1<T>(f, select<T>(large, constant(C::ln2_high), Vec<T>{}),
                       select<T>(large, constant(C::ln2_low), Vec<T>{}));
}

// tanh(x). Error < 1.5 ulp.
template <class T>
PELLUCID_INLINE Vec<T> tanh(Vec<T> x) {
  using C = Constants<T>;
  const Vec<T> size = abs<T>(x), one = constant(T(1)), two = constant(T(2));
  const Reduced<T> e = reduce<T>(min<T>(size + size, constant(2 * C::tanh_high)));
  const Vec<T> n = power<T>(e.shifted);
  const Vec<T> far = one - two / fma(n, e.t, n + one);  // 1 - 2 / (e^2|x| + 1)
  const Vec<T> z = size * size;
  const Vec<T> near = fma(size * z, polynomial(C::tanh, z), size);
  return with_sign<T>(select<T>(size < constant(T(0.5625)), near, far), x);
}

// 1 / (1 + e^-x). Error < 1.8 ulp.
template <class T>
PELLUCID_INLINE Vec<T> sigmoid(Vec<T> x) {
  using C = Constants<T>;
  x = max<T>(min<T>(x, constant(C::sigmoid_high)), constant(C::exp_low));
  const Reduced<T> e = reduce<T>(-x);
  // Numerator and denominator times a small number, so that e^-x cannot overflow.
  const Vec<T> unit = constant(C::sigmoid_unit);
  const Vec<T> n = power<T>(e.shifted, C::sigmoid_unit);
  const Vec<T> sum = n + unit, error = unit - (sum - n);  // the error counts about 2^24 (2^53)
  return unit / (sum + fma(n, e.t, error));
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|). Error < 1.8 ulp.
template <class T>
PELLUCID_INLINE Vec<T> softplus(Vec<T> x) {
  return max<T>(x, Vec<T>{}) + log1p_unit<T>(exp<T>(-abs<T>(x)));
}

}  // namespace pellucid::PELLUCID_LEVEL
