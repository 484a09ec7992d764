// cpu.hpp: the CPU's own word, which alone is asked on Windows, against the compiler's library.
#include "check.hpp"
#include "cpu.hpp"

int main() {
#if defined(__x86_64__) && !defined(_MSC_VER) && !defined(__APPLE__)
  __builtin_cpu_init();
  CHECK(pellucid::cpu::features_asked() == pellucid::cpu::features(), "other instruction sets");
  const bool zen4 = __builtin_cpu_is("amd") && __builtin_cpu_is("amdfam19h");
  CHECK(pellucid::cpu::half_width_avx512() == zen4, "family 25 of AMD: %d", zen4);
#endif
  CHECK(pellucid::cpu::missing("baseline").empty(), "baseline asks for nothing");
  return pellucid::failures();
}
