// A team of threads that works through the phases of a step, with a barrier between them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>
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

// A number that threads wait to see changed. Waiting spins briefly (a busy team takes half a
// microsecond), then yields, then sleeps: where another process has taken a core, spinning would
// only keep its owner away.
class Signal {
 public:
  std::uint32_t now() const { return value_.load(std::memory_order_acquire); }

  void change() {
    value_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) value_.notify_all();
  }

  // Return as soon as the number is not `before`.
  void await_change(std::uint32_t before) {
    for (int i = 0; i < SPINS; ++i) {
      if (now() != before) return;
      pause_briefly();
    }
    for (int i = 0; i < YIELDS; ++i) {
      if (now() != before) return;
      std::this_thread::yield();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (value_.load(std::memory_order_seq_cst) == before) value_.wait(before);
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  }

 private:
  static constexpr int SPINS = 300;
  static constexpr int YIELDS = 300;

  alignas(64) std::atomic<std::uint32_t> value_{0};
  alignas(64) std::atomic<int> sleepers_{0};
};

class Barrier {
 public:
  // How many take part; only while nobody waits.
  void resize(int n) { n_ = n; }

  void wait() {
    if (n_ == 1) return;
    const std::uint32_t before = generation_.now();
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) < n_ - 1)
      return generation_.await_change(before);
    arrived_.store(0, std::memory_order_relaxed);
    generation_.change();
  }

 private:
  int n_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  Signal generation_;
};

// The CPUs that the calling thread might use when this was made. Elsewhere than on Linux nothing is
// known, and no thread is moved.
class Cpus {
 public:
#if defined(__linux__)
  Cpus() : known_(sched_getaffinity(0, sizeof all_, &all_) == 0) {}

  static int here() { return sched_getcpu(); }

  // Keep the calling thread on the t-th of them after `home`.
  void stay_on(int t, int home) const {
    if (!known_) return;
    int cpu = home;
    for (int left = t % CPU_COUNT(&all_); left > 0; --left)
      cpu = next(cpu, [](int) { return false; });
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
  }

  // Let it use them all again.
  void roam() const {
    if (known_) sched_setaffinity(0, sizeof all_, &all_);
  }

  bool has(int cpu) const { return known_ && CPU_ISSET(cpu, &all_); }

  // The first of them after `cpu`, in a circle, for which taken(it) is false; -1: there is none.
  template <class F>
  int next(int cpu, F taken) const {
    for (int left = known_ ? CPU_SETSIZE : 0; left > 0; --left) {
      cpu = (cpu + 1) % CPU_SETSIZE;
      if (has(cpu) && !taken(cpu)) return cpu;
    }
    return -1;
  }

 private:
  cpu_set_t all_;
  bool known_;
#else
  static int here() { return 0; }
  void stay_on(int, int) const {}
  void roam() const {}
  bool has(int) const { return false; }
  template <class F>
  int next(int, F) const {
    return -1;
  }
#endif
};

// n threads, the caller among them as number 0; fewer where the system starts no more. They live as
// long as the team; those that a run has no use for sleep.
class Team {
 public:
  explicit Team(int n) : seats_(new Seat[std::size_t(n)]) {
    const int home = Cpus::here();
    try {
      for (int t = 1; t < n; ++t) threads_.emplace_back([this, t, home] { serve(t, home); });
    } catch (const std::system_error&) {  // of processes, or of memory: there is no more to have
    }
  }

  ~Team() { end(); }

  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return int(threads_.size()) + 1; }
  int active() const { return active_; }  // of the run under way

  // Call job(t) on the first `active` threads and return when all are done; job must not throw.
  template <class F>
  void run(int active, F& job) {
    active_ = active;
    inside_.resize(active);
    if (active == 1) return job(0);
    context_ = &job;
    job_ = [](void* context, int t) { (*static_cast<F*>(context))(t); };
    working_.store(active - 1, std::memory_order_relaxed);
    const std::uint32_t before = end_.now();
    for (int t = 1; t < active; ++t) seats_[t].start.change();
    job(0);
    seats_[0].cpu = Cpus::here();
    end_.await_change(before);
  }

  // Between runs of a millisecond or so: where the last one ended with two threads on one CPU, the
  // next begins with one of them sent to a CPU where none is. They would take turns of milliseconds
  // there until the scheduler parts them, after some tens. Where it sends them back, there is no
  // other CPU for so many, so this waits longer each time.
  void part() {
    if (active_ == 1) return;
    const int t = one_too_many();
    Seat& last = seats_[active_ - 1];
    if (t == 0) {
      last.patience /= 2;
      for (int u = 0; u < active_; ++u) remember(seats_[u].cpu);
    } else if (++last.waited > last.patience) {
      last.waited = 0;
      last.patience = std::min(2 * last.patience + 1, MOST_PATIENT);
      seats_[t].go_to = elsewhere();
    }
  }

  // Within a job: wait for all others.
  void barrier() { inside_.wait(); }

 private:
  void end() {
    job_ = nullptr;
    for (std::size_t t = 1; t <= threads_.size(); ++t) seats_[t].start.change();
    for (auto& thread : threads_) thread.join();
  }

  void serve(int t, int home) {
    Seat& seat = seats_[t];
    spread(t, home);
    for (std::uint32_t seen = 0;; ++seen) {
      seat.start.await_change(seen);
      if (job_ == nullptr) return;
      if (seat.go_to >= 0) spread(0, std::exchange(seat.go_to, -1));
      job_(context_, t);
      seat.cpu = Cpus::here();
      if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) end_.change();
    }
  }

  // Begin on a core of one's own, free to move: left alone, the threads of a new team share a core
  // for a tenth of a second until the scheduler parts them.
  static void spread(int t, int home) {
    const Cpus allowed;
    allowed.stay_on(t, home);
    allowed.roam();
  }

  bool is_taken(int cpu, int active) const {
    const Seat* const first = seats_.get();
    return std::any_of(first, first + active, [=](auto& each) { return each.cpu == cpu; });
  }

  // A thread that ended the last run on the CPU of one before it; 0: there is none.
  int one_too_many() const {
    int t = active_ - 1;
    while (t > 0 && !is_taken(seats_[t].cpu, t)) --t;
    return t;
  }

  // A thread had this CPU to itself: it comes first among those that did.
  void remember(int cpu) {
    std::erase(good_, cpu);
    good_.insert(good_.begin(), cpu);
  }

  // A CPU where no thread was in the last run: one of the good ones, tried once, or any in turn.
  int elsewhere() {
    const Cpus allowed;
    const auto taken = [this](int cpu) { return is_taken(cpu, active_); };
    const auto place = std::find_if(good_.begin(), good_.end(),
                                    [&](int cpu) { return allowed.has(cpu) && !taken(cpu); });
    if (place == good_.end()) return sent_ = allowed.next(sent_, taken);
    const int cpu = *place;
    good_.erase(place);
    return cpu;
  }

  struct alignas(64) Seat {
    Signal start;                  // of a run
    int cpu = -1;                  // where the thread was at its end
    int go_to = -1;                // the CPU on which it is to begin the next
    int patience = 0, waited = 0;  // of part(), in runs in which it was the last
  };
  static constexpr int MOST_PATIENT = 63;

  const std::unique_ptr<Seat[]> seats_;  // of each thread
  int active_ = 1;
  std::vector<int> good_;  // CPUs that threads had to themselves, latest first
  int sent_ = -1;          // another that was tried last
  Barrier inside_;
  std::atomic<int> working_{0};
  Signal end_;
  void (*job_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace pellucid::PELLUCID_LEVEL
