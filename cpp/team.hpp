// A team of threads that works through the phases of a step, with a barrier between them.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

PELLUCID_INLINE void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

// Waiting spins briefly (a barrier of a busy team takes half a microsecond), then yields, then
// sleeps: where another process has taken a core, spinning would only keep its owner away.
class Barrier {
 public:
  explicit Barrier(int n) : n_(n) {}

  // How many take part; only while nobody waits.
  void resize(int n) { n_ = n; }

  void wait() {
    if (n_ == 1) return;
    const std::uint32_t before = generation_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == n_ - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(before + 1, std::memory_order_seq_cst);
      if (sleepers_.load(std::memory_order_seq_cst) > 0) generation_.notify_all();
      return;
    }
    await(before);
  }

 private:
  static constexpr int SPINS = 300;
  static constexpr int YIELDS = 300;

  void await(std::uint32_t before) {
    for (int i = 0; i < SPINS; ++i) {
      if (generation_.load(std::memory_order_acquire) != before) return;
      pause_briefly();
    }
    for (int i = 0; i < YIELDS; ++i) {
      if (generation_.load(std::memory_order_acquire) != before) return;
      std::this_thread::yield();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (generation_.load(std::memory_order_seq_cst) == before) generation_.wait(before);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }

  int n_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> generation_{0};
  alignas(64) std::atomic<int> sleepers_{0};
};

// n threads, the caller among them as number 0. They live as long as the team.
class Team {
 public:
  explicit Team(int n) : n_(n), start_(n), inside_(n), end_(n) {
    for (int t = 1; t < n; ++t) threads_.emplace_back([this, t] { serve(t); });
  }

  ~Team() {
    job_ = nullptr;
    start_.wait();
    for (auto& thread : threads_) thread.join();
  }

  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return n_; }
  int active() const { return active_; }  // of the run under way

  // Call job(t) on the first `active` threads and return when all are done; job must not throw.
  template <class F>
  void run(int active, F& job) {
    active_ = active;
    if (active == 1) {
      inside_.resize(1);
      job(0);
      return;
    }
    context_ = &job;
    job_ = [](void* context, int t) { (*static_cast<F*>(context))(t); };
    inside_.resize(active);
    start_.wait();
    job_(context_, 0);
    end_.wait();
  }

  // Within a job: wait for all others.
  void barrier() { inside_.wait(); }

 private:
  void serve(int t) {
    spread(t);
    for (;;) {
      start_.wait();
      if (job_ == nullptr) return;
      if (t < active_) job_(context_, t);
      end_.wait();
    }
  }

  // Begin on a core of one's own, free to move: left alone, the threads of a new team share a core
  // for a tenth of a second until the scheduler parts them.
  static void spread([[maybe_unused]] int t) {
#if defined(__linux__)
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    const int here = sched_getcpu(), count = CPU_COUNT(&allowed);
    for (int cpu = 0, k = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed) || k++ != t % count) continue;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      if (cpu != here) sched_setaffinity(0, sizeof one, &one);
    }
    sched_setaffinity(0, sizeof allowed, &allowed);
#endif
  }

  const int n_;
  int active_ = 1;
  Barrier start_, inside_, end_;
  void (*job_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace pellucid::PELLUCID_LEVEL
