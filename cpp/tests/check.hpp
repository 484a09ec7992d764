// CHECK for the unit tests: says where it failed and with what, counts, and goes on.
//
//     CHECK(a == b);
//     CHECK(close(got, wanted), "lane %d: %g, not %g", i, got, wanted);
//     int main() { ...; return pellucid::failures(); }
#pragma once

#include <cstdio>

namespace pellucid {

inline int failed_checks = 0;

// The exit status of a test program.
inline int failures() {
  if (failed_checks) std::printf("%d checks failed\n", failed_checks);
  return failed_checks ? 1 : 0;
}

}  // namespace pellucid

#define CHECK(condition, ...)                                                 \
  do {                                                                        \
    if (!(condition)) {                                                       \
      ++pellucid::failed_checks;                                              \
      std::printf("%s:%d: CHECK(%s) failed", __FILE__, __LINE__, #condition); \
      std::printf(" " __VA_ARGS__);                                           \
      std::printf("\n");                                                      \
    }                                                                         \
  } while (false)
