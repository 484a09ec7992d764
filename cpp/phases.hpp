// Where the time of a step goes on each thread, for benchmarks/phases.cpp. Nothing where
// PELLUCID_PHASES is not defined.
#pragma once

#if defined(PELLUCID_PHASES)
#include <chrono>
#endif

namespace pellucid {

enum class Phase { OTHER, GATHER, FORWARD, LOSS, BACKWARD, GRADIENT, UPDATE, WAIT, COUNT };

#if defined(PELLUCID_PHASES)

struct alignas(128) Phases {
  std::chrono::steady_clock::time_point since;
  double seconds[int(Phase::COUNT)] = {};
};
inline Phases phases_of_thread[64];

// What thread t has done since its last mark was this phase.
inline void mark(int t, Phase phase) {
  Phases& own = phases_of_thread[t];
  const auto now = std::chrono::steady_clock::now();
  own.seconds[int(phase)] += std::chrono::duration<double>(now - own.since).count();
  own.since = now;
}

#else

inline void mark(int, Phase) {}

#endif

}  // namespace pellucid
