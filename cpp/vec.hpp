// One SIMD vector of floats or doubles, as wide as the level this module is compiled for.
//
// Each level (baseline, avx2, avx512, neon) is a Python module of its own, compiled from the same
// sources with its own flags, so no inline function is ever shared between levels. Nothing here is
// contracted by the compiler (-ffp-contract=off): a fused multiply-add happens where fma() stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>
#define PELLUCID_LEVEL avx512
#define PELLUCID_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define PELLUCID_LEVEL avx2
#define PELLUCID_BYTES 32
#elif defined(__aarch64__)
#include <arm_neon.h>
#define PELLUCID_LEVEL neon
#define PELLUCID_BYTES 16
#else
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#define PELLUCID_LEVEL baseline
#define PELLUCID_BYTES 16
#endif

#define PELLUCID_INLINE inline __attribute__((always_inline))

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct VecTraits;
template <>
struct VecTraits<float> {
  typedef float Vec __attribute__((vector_size(PELLUCID_BYTES)));
  typedef std::int32_t Int __attribute__((vector_size(PELLUCID_BYTES)));
  typedef std::uint32_t Unsigned __attribute__((vector_size(PELLUCID_BYTES)));
};
template <>
struct VecTraits<double> {
  typedef double Vec __attribute__((vector_size(PELLUCID_BYTES)));
  typedef std::int64_t Int __attribute__((vector_size(PELLUCID_BYTES)));
  typedef std::uint64_t Unsigned __attribute__((vector_size(PELLUCID_BYTES)));
};

template <class T>
using Vec = typename VecTraits<T>::Vec;
// Masks (all ones or all zeros a lane) and bit patterns; a comparison of Vec<T> yields one.
template <class T>
using IntVec = typename VecTraits<T>::Int;
template <class T>
using UnsignedVec = typename VecTraits<T>::Unsigned;

template <class T>
constexpr int LANES = PELLUCID_BYTES / int(sizeof(T));
// A panel is two vectors wide: the unit in which every matrix is laid out.
template <class T>
constexpr int PANEL = 2 * LANES<T>;

template <class T>
PELLUCID_INLINE Vec<T> load(const T* from) {
  Vec<T> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class T>
PELLUCID_INLINE void store(T* to, Vec<T> v) {
  std::memcpy(to, &v, sizeof v);
}

// x in every lane. (By intrinsics: compilers make a poor broadcast of a loop over the lanes.)
PELLUCID_INLINE Vec<float> splat(float x) {
#if PELLUCID_BYTES == 64
  return (Vec<float>)_mm512_set1_ps(x);
#elif PELLUCID_BYTES == 32
  return (Vec<float>)_mm256_set1_ps(x);
#elif defined(__aarch64__)
  return (Vec<float>)vdupq_n_f32(x);
#else
  return Vec<float>{x, x, x, x};
#endif
}

PELLUCID_INLINE Vec<double> splat(double x) {
#if PELLUCID_BYTES == 64
  return (Vec<double>)_mm512_set1_pd(x);
#elif PELLUCID_BYTES == 32
  return (Vec<double>)_mm256_set1_pd(x);
#elif defined(__aarch64__)
  return (Vec<double>)vdupq_n_f64(x);
#else
  return Vec<double>{x, x};
#endif
}

template <class T>
PELLUCID_INLINE Vec<T> broadcast(T x) {
  return splat(x);
}

template <class T>
PELLUCID_INLINE IntVec<T> bits(Vec<T> v) {
  return (IntVec<T>)v;
}

template <class T>
PELLUCID_INLINE Vec<T> from_bits(IntVec<T> v) {
  return (Vec<T>)v;
}

// mask ? yes : no, lane by lane.
template <class T>
PELLUCID_INLINE Vec<T> select(IntVec<T> mask, Vec<T> yes, Vec<T> no) {
  return mask ? yes : no;
}

// a * b + c, rounded once where the level has it (baseline x86 has not).
PELLUCID_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
#if PELLUCID_BYTES == 64
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif PELLUCID_BYTES == 32
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

PELLUCID_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
#if PELLUCID_BYTES == 64
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif PELLUCID_BYTES == 32
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

PELLUCID_INLINE Vec<float> sqrt(Vec<float> v) {
#if PELLUCID_BYTES == 64
  return (Vec<float>)_mm512_maskz_sqrt_ps((__mmask16)-1, (__m512)v);
#elif PELLUCID_BYTES == 32
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__aarch64__)
  return (Vec<float>)vsqrtq_f32((float32x4_t)v);
#elif defined(__SSE2__)
  return (Vec<float>)_mm_sqrt_ps((__m128)v);
#else
  for (int i = 0; i < LANES<float>; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

PELLUCID_INLINE Vec<double> sqrt(Vec<double> v) {
#if PELLUCID_BYTES == 64
  return (Vec<double>)_mm512_maskz_sqrt_pd((__mmask8)-1, (__m512d)v);
#elif PELLUCID_BYTES == 32
  return (Vec<double>)_mm256_sqrt_pd((__m256d)v);
#elif defined(__aarch64__)
  return (Vec<double>)vsqrtq_f64((float64x2_t)v);
#elif defined(__SSE2__)
  return (Vec<double>)_mm_sqrt_pd((__m128d)v);
#else
  for (int i = 0; i < LANES<double>; ++i) v[i] = __builtin_sqrt(v[i]);
  return v;
#endif
}

template <class T>
PELLUCID_INLINE Vec<T> abs(Vec<T> v) {
  const IntVec<T> sign = bits<T>(broadcast(T(-0.0)));
  return (Vec<T>)((IntVec<T>)v & ~sign);
}

// NaN in v stays NaN in max(v, bound) and min(v, bound): a diverged network must show it. (x86's
// instructions return their second operand where one is NaN.)
template <class T>
PELLUCID_INLINE Vec<T> max(Vec<T> v, Vec<T> bound) {
#if PELLUCID_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_max_ps((__mmask16)-1, (__m512)bound, (__m512)v);
  else
    return (Vec<T>)_mm512_maskz_max_pd((__mmask8)-1, (__m512d)bound, (__m512d)v);
#else
  return select<T>(v < bound, bound, v);
#endif
}

// The larger of two numbers; NaN where either is.
template <class T>
PELLUCID_INLINE Vec<T> larger(Vec<T> a, Vec<T> b) {
  return select<T>(b != b, b, max<T>(a, b));
}

template <class T>
PELLUCID_INLINE Vec<T> min(Vec<T> v, Vec<T> bound) {
#if PELLUCID_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_min_ps((__mmask16)-1, (__m512)bound, (__m512)v);
  else
    return (Vec<T>)_mm512_maskz_min_pd((__mmask8)-1, (__m512d)bound, (__m512d)v);
#else
  return select<T>(v > bound, bound, v);
#endif
}

#if PELLUCID_BYTES == 64
// v 2^n, rounded once, for integers n of any size.
PELLUCID_INLINE Vec<float> scale(Vec<float> v, Vec<float> n) {
  return (Vec<float>)_mm512_maskz_scalef_ps((__mmask16)-1, (__m512)v, (__m512)n);
}
PELLUCID_INLINE Vec<double> scale(Vec<double> v, Vec<double> n) {
  return (Vec<double>)_mm512_maskz_scalef_pd((__mmask8)-1, (__m512d)v, (__m512d)n);
}
#endif

// The 64-bit product of the lower 32 bits of each 64-bit lane.
PELLUCID_INLINE UnsignedVec<double> wide_product(UnsignedVec<double> a, UnsignedVec<double> b) {
#if PELLUCID_BYTES == 64
  return (UnsignedVec<double>)_mm512_maskz_mul_epu32((__mmask8)-1, (__m512i)a, (__m512i)b);
#elif PELLUCID_BYTES == 32
  return (UnsignedVec<double>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__aarch64__)
  return (UnsignedVec<double>)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#elif defined(__SSE2__)
  return (UnsignedVec<double>)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

// 0, 1, 2, ... in the lanes.
template <class T>
PELLUCID_INLINE IntVec<T> lane_numbers() {
  IntVec<T> v{};
  for (int i = 0; i < LANES<T>; ++i) v[i] = i;
  return v;
}

// Ones in the first `count` lanes.
template <class T>
PELLUCID_INLINE IntVec<T> first_lanes(int count) {
  return lane_numbers<T>() < IntVec<T>{} + count;
}

// The first `count` <= LANES numbers, and zeros after them; nothing beyond them is touched.
template <class T>
PELLUCID_INLINE Vec<T> load_part(const T* from, int count) {
#if PELLUCID_BYTES == 64
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), from);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1), from);
#elif PELLUCID_BYTES == 32
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_maskload_ps(from, (__m256i)first_lanes<T>(count));
  else
    return (Vec<T>)_mm256_maskload_pd(from, (__m256i)first_lanes<T>(count));
#else
  T lanes[LANES<T>] = {};
  for (int i = 0; i < count; ++i) lanes[i] = from[i];
  return load(lanes);
#endif
}

template <class T>
PELLUCID_INLINE void store_part(T* to, Vec<T> v, int count) {
#if PELLUCID_BYTES == 64
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1), (__m512)v);
  else
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << count) - 1), (__m512d)v);
#elif PELLUCID_BYTES == 32
  if constexpr (sizeof(T) == 4)
    _mm256_maskstore_ps(to, (__m256i)first_lanes<T>(count), (__m256)v);
  else
    _mm256_maskstore_pd(to, (__m256i)first_lanes<T>(count), (__m256d)v);
#else
  for (int i = 0; i < count; ++i) to[i] = v[i];
#endif
}

template <class T>
PELLUCID_INLINE Vec<T> load_up_to(const T* from, int count) {
  return count == LANES<T> ? load(from) : load_part(from, count);
}
template <class T>
PELLUCID_INLINE void store_up_to(T* to, Vec<T> v, int count) {
  if (count == LANES<T>)
    store(to, v);
  else
    store_part(to, v, count);
}

// Of a and b, the even blocks of H lanes in turn (UPPER: the odd ones): a0 b0 a2 b2 ... of blocks.
template <class T, int H, bool UPPER, std::size_t... I>
PELLUCID_INLINE Vec<T> mixed(Vec<T> a, Vec<T> b, std::index_sequence<I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(
      a, b, int(I / H % 2 * LANES<T> + I / H / 2 * 2 * H + I % H + (UPPER ? H : 0))...);
#else
  return __builtin_shuffle(
      a, b, IntVec<T>{int(I / H % 2 * LANES<T> + I / H / 2 * 2 * H + I % H + (UPPER ? H : 0))...});
#endif
}
template <class T, int H, bool UPPER>
PELLUCID_INLINE Vec<T> mixed(Vec<T> a, Vec<T> b) {
  return mixed<T, H, UPPER>(a, b, std::make_index_sequence<LANES<T>>{});
}

// LANES vectors as a square: its columns become its rows.
template <class T, int H = 1>
PELLUCID_INLINE void transpose(Vec<T>* v) {
  if constexpr (H < LANES<T>) {
    for (int i = 0; i < LANES<T>; ++i) {
      if (i & H) continue;
      const Vec<T> a = v[i], b = v[i + H];
      v[i] = mixed<T, H, false>(a, b);
      v[i + H] = mixed<T, H, true>(a, b);
    }
    transpose<T, 2 * H>(v);
  }
}

// The sum of the lanes of each of LANES vectors: neighbours first, then neighbouring pairs, ...
template <class T, int H = 1>
PELLUCID_INLINE Vec<T> lane_sums(Vec<T>* v) {
  if constexpr (H < LANES<T>) {
    for (int i = 0; i < LANES<T>; i += 2 * H)
      v[i] = mixed<T, H, false>(v[i], v[i + H]) + mixed<T, H, true>(v[i], v[i + H]);
    return lane_sums<T, 2 * H>(v);
  }
  return v[0];
}

// The same of one vector.
template <class T>
PELLUCID_INLINE T lane_sum(Vec<T> v) {
  T lanes[LANES<T>];
  store(lanes, v);
  for (int h = 1; h < LANES<T>; h *= 2)
    for (int i = 0; i < LANES<T>; i += 2 * h) lanes[i] += lanes[i + h];
  return lanes[0];
}

}  // namespace pellucid::PELLUCID_LEVEL
