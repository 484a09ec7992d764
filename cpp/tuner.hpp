// How many threads a session uses, found out while it works.
//
// Any number of threads gives the same bits, so the number may change between any two steps. The
// tuner times runs of steps, keeps to the fastest number, and now and then tries its neighbours
// again: machines are shared, and a core that was free may be taken.
#pragma once

#include <algorithm>
#include <vector>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

class Tuner {
 public:
  explicit Tuner(int most) {
    for (int n = most; n > 1; n = n > 8 ? n / 2 : n - 1) tried_.push_back({n});
    tried_.push_back({1});
  }

  // The number of threads for the next steps.
  int choose() const { return tried_[now_].threads; }

  // How many steps to do before choosing again: a millisecond's worth, less while trying.
  int steps() const {
    if (tried_.size() == 1) return MOST;
    const Candidate& present = tried_[now_];
    const double each = present.best(), round = present.count < RECENT ? ROUND / 3 : ROUND;
    return each == 0 ? 8 : std::clamp(int(round / each), each < ROUND ? 4 : 1, MOST);
  }

  // What some steps took. The first moments after a change of number are not counted: threads wake
  // up and find their cores.
  void note(int steps, double all) {
    if (tried_.size() == 1) return;
    Candidate& present = tried_[now_];
    const double seconds = all / steps;
    if (warm_ <= 0 || seconds > SLOW) present.add(seconds);
    warm_ -= all;
    const bool hopeless = present.count && present.best() > 2 * tried_[fastest()].best();
    if (present.count < (seconds > SLOW ? 1 : RECENT) && !hopeless) return;
    for (size_t k = 0; k < tried_.size(); ++k)
      if (tried_[k].count == 0 && worth_trying(k, seconds)) return move_to(k);
    const size_t best = fastest();
    if (now_ != best) return move_to(best);
    if (++rounds_ % AGAIN == 0) {
      const size_t other = rounds_ / AGAIN % 2 ? best - 1 : best + 1;
      if (other < tried_.size() && tried_[other].count &&
          tried_[other].best() < 3 * tried_[best].best()) {
        tried_[other].count = 0;
        move_to(other);
      }
    }
  }

 private:
  static constexpr double ROUND = 1e-3;  // seconds
  static constexpr double WARM = 3e-3;
  static constexpr double SLOW = 5e-3;  // a step so long needs no second measurement
  static constexpr int AGAIN = 12;      // rounds before a neighbour is tried again
  static constexpr int RECENT = 3;
  static constexpr int MOST = 4096;  // steps

  struct Candidate {
    int threads;
    int count = 0;
    double recent[RECENT] = {};

    void add(double seconds) { recent[count++ % RECENT] = seconds; }
    // The least of the recent rounds: disturbances only ever add.
    double best() const {
      const int known = std::min(count, RECENT);
      return known ? *std::min_element(recent, recent + known) : 0;
    }
  };

  // Few threads would take long over a step that takes the whole team long.
  bool worth_trying(size_t k, double seconds) const {
    return seconds < SLOW || 2 * tried_[k].threads > tried_[0].threads;
  }

  size_t fastest() const {
    size_t best = now_;
    for (size_t k = 0; k < tried_.size(); ++k)
      if (tried_[k].count &&
          (tried_[best].count == 0 || tried_[k].best() < 0.98 * tried_[best].best()))
        best = k;
    return best;
  }

  void move_to(size_t k) {
    now_ = k;
    warm_ = WARM;
  }

  std::vector<Candidate> tried_;  // from most threads to one
  size_t now_ = 0;
  double warm_ = 10 * WARM;  // seconds to go until rounds count
  int rounds_ = 0;
};

}  // namespace pellucid::PELLUCID_LEVEL
