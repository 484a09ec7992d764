// What a call of `run` asks for, and how its steps are done in windows: the same for both kinds of
// session.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "rows.hpp"
#include "team.hpp"
#include "tuner.hpp"

namespace pellucid::PELLUCID_LEVEL {

// What was found for which work, for sessions to come. Never destroyed: a session may outlive what
// a program ends with.
inline Tunings& tunings() {
  static Tunings& all = *new Tunings;
  return all;
}

// What is asked for, with the threads that could be started.
template <class Spec>
const Spec& started(Spec& spec, int threads) {
  spec.threads = threads;
  return spec;
}

// `alone` is about how many seconds a step takes one thread.
template <class Spec>
Tuner tuner_for(const Spec& spec, const Tunings::Work& work, double alone) {
  const bool tuned = spec.tuned && spec.training;  // an evaluation is over before it is measured
  return Tuner(spec.threads, tunings().recall(work), tuned ? 1 : spec.threads, alone);
}

// The weights of `count` examples of an order from `start` on; without weights each is 1.
inline double total_weight(const double* weights, const std::int64_t* order, std::int64_t start,
                           std::int64_t count) {
  if (!weights) return double(count);
  double total = 0;
  for (std::int64_t k = start; k < start + count; ++k) total += weights[order ? order[k] : k];
  return total;
}

template <class T>
struct Request {
  const Rows& X;
  const Targets<T>& Y;
  const std::int64_t* order;  // m numbers for each epoch, or null
  std::int64_t m;
  int first, last;  // steps, counted through the epochs
  int per_epoch;    // steps
  const double* rates;
  const double* weights;
  double* costs;

  const std::int64_t* order_of(int k) const { return order ? order + k / per_epoch * m : order; }
};

// Who asks, now and then, whether the user wants an end.
struct Interrupter {
  bool (*interrupted)(void*);
  void* context;
};

class Windows {
 public:
  // The steps of a request, in windows as the tuner has them, none beyond an epoch's end. Session S
  // has begin_window(request, k, threads); steps(request, k, end, t, &done, &go_on) on thread t;
  // and end_window(threads, done, seconds). Returns how many costs were written.
  template <class S, class T>
  int run(S& session, const Request<T>& request, Team& team, Tuner& tuner, std::uint64_t& step,
          const Interrupter& user) {
    auto asked = clock::now();
    tuner.paused(seconds(worked_, asked));
    bool go_on = true;
    int k = request.first;
    const int per_epoch = request.per_epoch;
    while (go_on && k < request.last) {
      const int threads = tuner.choose();
      const int count = std::min({request.last - k, per_epoch - k % per_epoch, tuner.steps()});
      session.begin_window(request, k, threads);
      const auto start = clock::now();
      int done = 0;
      auto job = [&](int t) { session.steps(request, k, k + count, t, &done, &go_on); };
      team.run(threads, job);
      const auto now = clock::now();
      tuner.note(done, seconds(start, now));
      team.part();
      session.end_window(threads, done, seconds(start, now));
      step += std::uint64_t(done);
      k += done;
      if (go_on && k < request.last && k % per_epoch == 0) {
        if (!session.finite()) break;
        session.write();
      }
      if (user.interrupted && now - asked > std::chrono::milliseconds(20)) {
        if (user.interrupted(user.context)) break;
        asked = now;
      }
    }
    worked_ = clock::now();
    return k - request.first;
  }

 private:
  using clock = std::chrono::steady_clock;
  static double seconds(clock::time_point from, clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  clock::time_point worked_{};  // when the latest run ended
};

}  // namespace pellucid::PELLUCID_LEVEL
