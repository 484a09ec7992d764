// What a SIMD level asks of the CPU. Compiled without the flags of any level.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace pellucid::cpu {

#if defined(__x86_64__)
inline constexpr const char* ARCHITECTURE = "x86-64";
#elif defined(__aarch64__)
inline constexpr const char* ARCHITECTURE = "aarch64";
#else
inline constexpr const char* ARCHITECTURE = "other";
#endif

#if defined(__x86_64__)
// The instruction sets of the levels: those that the CPU has and the system saves the registers of.
struct Features {
  bool avx2 = false, fma = false, avx512f = false, avx512dq = false, avx512vl = false,
       avx512bw = false;
  bool operator==(const Features&) const = default;
};

// By the CPU's own word.
inline Features features_asked() {
  Features has;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return has;
  const bool fma = ecx >> 12 & 1, tells_what_is_saved = ecx >> 27 & 1;
  if (!tells_what_is_saved) return has;
  unsigned saved = 0, more = 0;
  __asm__ __volatile__("xgetbv" : "=a"(saved), "=d"(more) : "c"(0));
  const bool avx = (saved & 0x06) == 0x06, avx512 = (saved & 0xE6) == 0xE6;
  has.fma = avx && fma;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return has;
  has.avx2 = avx && (ebx >> 5 & 1);
  has.avx512f = avx512 && (ebx >> 16 & 1);
  has.avx512dq = avx512 && (ebx >> 17 & 1);
  has.avx512bw = avx512 && (ebx >> 30 & 1);
  has.avx512vl = avx512 && (ebx >> 31 & 1);
  return has;
}

// By the compiler's library, which knows more: macOS, say, saves the registers of AVX-512 only from
// their first use on. clang-cl links no such library.
inline Features features() {
#if defined(_MSC_VER)
  return features_asked();
#else
  __builtin_cpu_init();
  Features has;
  has.avx2 = __builtin_cpu_supports("avx2");
  has.fma = __builtin_cpu_supports("fma");
  has.avx512f = __builtin_cpu_supports("avx512f");
  has.avx512dq = __builtin_cpu_supports("avx512dq");
  has.avx512vl = __builtin_cpu_supports("avx512vl");
  has.avx512bw = __builtin_cpu_supports("avx512bw");
  return has;
#endif
}
#endif

// The instruction sets that a level is compiled with (common.cmake) and this CPU lacks, or the
// operating system does not save the registers of: empty if the level can run here.
inline std::vector<std::string> missing([[maybe_unused]] std::string_view level) {
  std::vector<std::string> names;
#if defined(__x86_64__)
  const Features has = features();
  if (level == "avx2" || level == "avx512") {
    if (!has.avx2) names.push_back("AVX2");
    if (!has.fma) names.push_back("FMA");
  }
  if (level == "avx512") {
    if (!has.avx512f) names.push_back("AVX512F");
    if (!has.avx512dq) names.push_back("AVX512DQ");
    if (!has.avx512vl) names.push_back("AVX512VL");
    if (!has.avx512bw) names.push_back("AVX512BW");
  }
#endif
  return names;
}

// Whether this CPU does AVX-512 in two halves, so that AVX2 is the better choice. Known for Zen 4
// (AMD's family 25: of its members only Zen 4 has AVX-512). Measured there with one thread, AVX2
// was 4 to 12 % faster on the two smallest networks of the benchmark and within 5 % either way on
// the others; its panels are half as wide, so layers fit them better and are shared more evenly.
inline bool half_width_avx512() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool amd = __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
  if (!amd || !__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return false;
  const unsigned base = eax >> 8 & 0xF, extended = eax >> 20 & 0xFF;
  return base == 0xF && base + extended == 25;
#else
  return false;
#endif
}

}  // namespace pellucid::cpu
