// How the work of a step is shared among threads: alike, or less to those whose cores turn out
// slower. A core may do half its work for a while because another guest of the machine, or another
// of its own cores in disguise, uses the same circuits; and some processors have cores of two
// kinds. Shared alike, every step waits for the slowest. Each sum is one thread's whatever the
// shares are, so the bits are the same. docs/decisions/threads-found-at-run-time.md tells what it
// is worth.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

// Which of n things are a thread's.
struct Share {
  int begin, end;
};
inline Share even_share(int n, int t, int threads) {
  return {n * t / threads, n * (t + 1) / threads};
}

// A clock by which threads are compared, in whatever unit is quick to read.
PELLUCID_INLINE std::uint64_t ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  std::uint64_t now;
  __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  return std::uint64_t(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// The shares of threads of these speeds.
class Shares {
 public:
  explicit Shares(const std::vector<double>& speeds = {1}) : speeds_(speeds), before_(1, 0) {
    double all = 0;
    for (const double speed : speeds) all += speed;
    for (const double speed : speeds) before_.push_back(before_.back() + speed / all);
  }

  int threads() const { return int(speeds_.size()); }
  double part(int t) const { return before_[t + 1] - before_[t]; }

  // What the threads before t have of `all`, and which of n things are t's.
  std::int64_t cut(std::int64_t all, int t) const {
    return t == threads() ? all : std::int64_t(double(all) * before_[t] + 0.5);
  }
  Share of(int n, int t) const { return {int(cut(n, t)), int(cut(n, t + 1))}; }

  // Where each thread's panels begin, and the end: whole ones, as a panel that two threads use
  // wanders between their caches. Empty where they are so few that whole ones are too uneven.
  std::vector<int> whole(int panels) const {
    const int n = threads(), most = (panels + n - 1) / n;
    if (panels < n || most * n > UNEVEN * panels) return {};
    std::vector<int> counts(n, 1), cuts(1, 0);
    for (int p = n; p < panels; ++p) {
      const auto then = [&](int t) { return (counts[t] + 1) / speeds_[t]; };
      int first = 0;  // to be done with one more
      for (int t = 1; t < n; ++t)
        if (then(t) < then(first)) first = t;
      ++counts[first];
    }
    for (const int count : counts) cuts.push_back(cuts.back() + count);
    return cuts;
  }

 private:
  static constexpr double UNEVEN = 1.3;

  std::vector<double> speeds_, before_;  // before_: the part of all work before each thread's
};

// What is left of a thread's panels, for whoever comes first. A phase takes from one of two counts
// and clears the other for the next one: there is a barrier between any two.
struct alignas(64) Taken {
  std::atomic<int> count[2] = {0, 0};
  unsigned phase = 0;
};

// How fast threads are beside each other, from the work that each did and the time it took.
class Speeds {
 public:
  explicit Speeds(int threads, const std::vector<double>& known = {}) : speeds_(known) {
    speeds_.resize(std::size_t(threads), 1.0);
  }

  std::vector<double> of(int threads) const { return {speeds_.begin(), speeds_.begin() + threads}; }

  // Thread t did work[t] in busy[t], any units, while `seconds` passed.
  void note(const std::vector<double>& work, const std::vector<double>& busy, double seconds) {
    double all = 0, time = 0;
    for (std::size_t t = 0; t < work.size(); ++t) {
      if (work[t] <= 0 || busy[t] <= 0) return;
      all += work[t];
      time += busy[t];
    }
    const double trust = seconds / (seconds + MEMORY);
    for (std::size_t t = 0; t < work.size(); ++t) {
      const double seen = std::clamp(work[t] / busy[t] * time / all, LEAST, MOST);
      speeds_[t] += trust * (seen - speeds_[t]);
    }
  }

  // Whether a step with the work shared like `next`, not `now`, is shorter by enough to move
  // parameters to other cores. Part of a thread's time does not go with its share, so less work is
  // taken to save less: else a thread with few panels seems slow, and loses those as well.
  bool worth(const std::vector<double>& now, const std::vector<double>& next) const {
    double longest = 0, then = 0;
    for (std::size_t t = 0; t < now.size(); ++t) {
      const double seconds = now[t] / speeds_[t], change = now[t] > 0 ? next[t] / now[t] : 1;
      longest = std::max(longest, seconds);
      then = std::max(then, seconds * (change > 1 ? change : 1 - SAVED * (1 - change)));
    }
    return then < ENOUGH * longest;
  }

 private:
  static constexpr double MEMORY = 20e-3;  // seconds
  static constexpr double LEAST = 0.3, MOST = 2;
  static constexpr double SAVED = 0.7, ENOUGH = 0.95;

  std::vector<double> speeds_;
};

}  // namespace pellucid::PELLUCID_LEVEL
