// What bounds a step: the processor's multiply-adds, and the optimizer's pass over its weights.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>

#include "optimizers.hpp"
#include "stage.hpp"
#include "team.hpp"

namespace pellucid::PELLUCID_LEVEL {

// A measurement of fewer threads than asked for would be another's.
inline void require_all(const Team& team, int threads) {
  if (team.size() < threads)
    throw std::runtime_error(std::to_string(team.size()) + " of " + std::to_string(threads) +
                             " threads could be started");
}

// Seconds of one call of pass(t) on every thread at once: the least of some rounds within
// `seconds`, each of several calls, as disturbances only ever add. At least one round is done.
template <class F>
double least_seconds(int threads, double seconds, F pass) {
  using clock = std::chrono::steady_clock;
  const auto since = [](clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
  };
  constexpr double ROUND = 1e-3;
  Team team(threads);
  require_all(team, threads);
  double least = std::numeric_limits<double>::infinity();
  int calls = 1;
  auto job = [&](int t) {
    for (int k = 0; k < calls; ++k) {
      pass(t);
      team.barrier();
    }
  };
  team.run(threads, job);  // what is first touched, and threads that wake up, are not counted
  const auto begin = clock::now();
  do {
    const auto start = clock::now();
    team.run(threads, job);
    const double each = since(start) / calls;
    least = std::min(least, each);
    if (each * calls < ROUND && calls < 1 << 20) calls *= 2;
  } while (since(begin) < seconds);
  return least;
}

// 10^9 operations a second of fused multiply-adds in registers, on so many threads together.
template <class T>
double fma_gflops(int threads, double seconds) {
  constexpr int CHAINS = 12, LENGTH = 2000;  // enough chains to hide the latency
  Buffer<T> sinks(size_t(threads) * LANES<T>);
  const Vec<T> factor = broadcast(T(0.999)), term = broadcast(T(0.001));
  const double least = least_seconds(threads, seconds, [&](int t) {
    Vec<T> sums[CHAINS];
    for (int c = 0; c < CHAINS; ++c) sums[c] = broadcast(T(c) / CHAINS);
    for (int k = 0; k < LENGTH; ++k)
      for (int c = 0; c < CHAINS; ++c) sums[c] = fma(sums[c], factor, term);
    for (int c = 1; c < CHAINS; ++c) sums[0] = sums[0] + sums[c];
    store(sinks + size_t(t) * LANES<T>, sums[0]);
  });
  return 2e-9 * LANES<T> * CHAINS * LENGTH * threads / least;
}

// 10^9 operations a second of threads that share a work as those of a training do: multiply-adds on
// numbers in their second caches and on some that another has just written, then a barrier, again
// and again. On average over `seconds`: what takes a core away for a while counts.
class Teamwork {
 public:
  explicit Teamwork(int threads)
      : threads_(threads), numbers_(size_t(threads) * APART), team_(threads) {
    require_all(team_, threads);
  }

  double gflops(double seconds) {
    using clock = std::chrono::steady_clock;
    const Cpus allowed;
    const int home = Cpus::here();
    auto part = [&](int t) { allowed.stay_on(t, home); };  // the team's threads end with it
    if (threads_ > 1) team_.run(threads_, part);
    go(ROUNDS);  // what is first touched, and threads that wake up, are not counted
    const auto start = clock::now();
    double passed = 0;
    long rounds = 0;
    do {
      go(ROUNDS);
      rounds += ROUNDS;
      passed = std::chrono::duration<double>(clock::now() - start).count();
    } while (passed < seconds);
    allowed.roam();
    return 1e-9 * 2 * STEPS * double(OWN + OTHERS) * threads_ * double(rounds) / passed;
  }

 private:
  static constexpr size_t APART = size_t(1) << 18, OWN = APART / 32, OTHERS = OWN / 2;  // floats
  static constexpr int PARTS = 16, ROUNDS = 40, STEPS = 3;

  static void work(float* from, size_t count) {
    const Vec<float> factor = broadcast(0.999f), term = broadcast(0.001f);
    for (size_t k = 0; k < count; k += LANES<float>) {
      Vec<float> x = load(from + k);
      for (int step = 0; step < STEPS; ++step) x = fma(x, factor, term);
      store(from + k, x);
    }
  }

  void go(int rounds) {
    auto job = [&](int t) {
      for (int r = 0; r < rounds; ++r) {
        const size_t at = size_t(r) % PARTS * OWN, before = size_t(r + PARTS - 1) % PARTS * OWN;
        work(numbers_ + size_t(t) * APART + at, OWN);
        work(numbers_ + size_t((t + 1) % threads_) * APART + before, OTHERS);
        team_.barrier();
      }
    };
    team_.run(threads_, job);
  }

  int threads_;
  Buffer<float> numbers_;
  Team team_;
};

// Seconds of an optimizer's step on so many weights and its memory of them; the gradient stays in
// the first cache, as in a training.
template <class T>
double optimizer_seconds(const OptimizerSpec& optimizer, size_t parameters, int threads,
                         double seconds) {
  constexpr size_t BLOCK = size_t(PANEL<T>) * PANEL<T>;
  const size_t blocks = (parameters + BLOCK - 1) / BLOCK;
  Buffer<T> G(BLOCK), W(blocks * BLOCK), memory[2];
  for (int k = 0; k < slots(optimizer.id); ++k) memory[k] = Buffer<T>(blocks * BLOCK);
  for (size_t k = 0; k < BLOCK; ++k) G[k] = T(0.01);
  Update<T> u{};
  u.id = optimizer.id;
  u.alpha = u.alpha_t = T(1e-6);
  u.keep = T(1 - 1e-6 * optimizer.decay);
  u.beta1 = T(optimizer.beta1);
  u.beta2 = T(optimizer.beta2);
  u.epsilon = T(optimizer.epsilon);
  u.inside = T(optimizer.alpha_inside ? 1e-6 : 1);
  u.outside = T(optimizer.alpha_inside ? 1 : 1e-6);
  u.scale = T(1);
  u.bound = T(-1);
  return least_seconds(threads, seconds, [&](int t) {
    const size_t end = blocks * size_t(t + 1) / size_t(threads);
    for (size_t b = blocks * size_t(t) / size_t(threads); b < end; ++b) {
      const size_t at = b * BLOCK, left = parameters - at;
      const size_t count = left < BLOCK ? left : BLOCK;
      const size_t vectors = (count + LANES<T> - 1) / LANES<T>;
      update(u, G.get(), W + at, memory[0].at(at), memory[1].at(at), int((vectors + 1) / 2), 2);
    }
  });
}

}  // namespace pellucid::PELLUCID_LEVEL
