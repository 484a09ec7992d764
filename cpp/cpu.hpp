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

// The instruction sets that a level is compiled with (common.cmake) and this CPU lacks, or the
// operating system does not save the registers of: empty if the level can run here.
inline std::vector<std::string> missing([[maybe_unused]] std::string_view level) {
  std::vector<std::string> names;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (level == "avx2" || level == "avx512") {
    if (!__builtin_cpu_supports("avx2")) names.push_back("AVX2");
    if (!__builtin_cpu_supports("fma")) names.push_back("FMA");
  }
  if (level == "avx512") {
    if (!__builtin_cpu_supports("avx512f")) names.push_back("AVX512F");
    if (!__builtin_cpu_supports("avx512dq")) names.push_back("AVX512DQ");
    if (!__builtin_cpu_supports("avx512vl")) names.push_back("AVX512VL");
    if (!__builtin_cpu_supports("avx512bw")) names.push_back("AVX512BW");
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
  __builtin_cpu_init();
  if (!__builtin_cpu_is("amd") || !__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return false;
  const unsigned base = eax >> 8 & 0xF, extended = eax >> 20 & 0xFF;
  return base == 0xF && base + extended == 25;
#else
  return false;
#endif
}

}  // namespace pellucid::cpu
