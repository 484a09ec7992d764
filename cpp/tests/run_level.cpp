// run_level LEVEL PROGRAM: runs PROGRAM if this CPU can run code of LEVEL, else says what is
// missing and ends with 77, which ctest takes for "skipped".
#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif

#include <cstdio>

#include "../cpu.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: run_level LEVEL PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  const auto missing = pellucid::cpu::missing(argv[1]);
  if (!missing.empty()) {
    std::printf("skipped: this CPU lacks");
    for (const auto& name : missing) std::printf(" %s", name.c_str());
    std::printf("\n");
    return 77;
  }
#if defined(_WIN32)  // where exec*() returns to the caller before the program has ended
  const auto status = _spawnv(_P_WAIT, argv[2], argv + 2);
  if (status >= 0) return int(status);
#else
  execv(argv[2], argv + 2);
#endif
  std::perror(argv[2]);
  return 2;
}
