// run_level LEVEL PROGRAM: runs PROGRAM if this CPU can run code of LEVEL, else says what is
// missing and ends with 77, which ctest takes for "skipped".
#include <unistd.h>

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
  execv(argv[2], argv + 2);
  std::perror(argv[2]);
  return 2;
}
