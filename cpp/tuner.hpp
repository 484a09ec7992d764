// How many threads a session uses, found out while it works.
//
// Any number of threads gives the same bits, so the number may change between any two steps. The
// tuner times windows of steps with each number, keeps to the fastest, and looks again from time to
// time, more often after it has found a change: machines are shared, and a core that was free may
// be taken. docs/decisions/threads-found-at-run-time.md says why it measures as it does.
#pragma once

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

// What a tuner found: the seconds of a step with each number of threads that it may choose, 0 where
// they are not known, and the place of the best.
struct Findings {
  std::vector<double> seconds;  // empty: nothing
  std::size_t best = 0;
};

class Tuner {
 public:
  // `known` was found for the same work and as many threads; `fewest` is 1, or `most` to choose
  // nothing. `alone` is about how many seconds a step takes one thread.
  explicit Tuner(int most, const Findings& known = {}, int fewest = 1, double alone = 0)
      : alone_(alone) {
    if (fewest == 1 && alone > 0 && alone < SHORT) most = 1;
    for (int n = fewest; n < most; n = n < 8 ? n + 1 : std::min(2 * n, most)) tried_.push_back({n});
    tried_.push_back({most});
    now_ = alone > SLOW ? tried_.size() - 1 : 0;  // the first step, to see how long one takes
    if (known.seconds.size() != tried_.size()) return;
    for (std::size_t k = 0; k < tried_.size(); ++k) tried_[k].seconds = known.seconds[k];
    now_ = best_ = known.best;
    reference_ = tried_[best_].seconds;
    recalled_ = true;
  }

  // For a later tuner of the same work.
  Findings findings() const {
    Findings found;
    if (reference_ == 0) return found;
    for (const Candidate& each : tried_) found.seconds.push_back(each.seconds);
    found.best = best_;
    return found;
  }

  // The number of threads for the next steps.
  int choose() const { return tried_[now_].threads; }

  // How many steps make the next window.
  int steps() const {
    if (last_ == 0) return 1;
    const double most = std::min(8.0 * window_, 4096.0);  // one step may tell little of the next
    return int(std::clamp((looking_ ? ROUND / 2 : ROUND) / last_, 1.0, most));
  }

  // Nothing was done for a while: threads have to wake up and find cores again.
  void paused(double seconds) {
    if (seconds > ROUND) warm_ = std::max(warm_, WARM);
  }

  // What a window of steps took.
  void note(int steps, double all) {
    if (steps == 0) return;
    const bool first = last_ == 0;
    last_ = all / steps;
    window_ = steps;
    if (tried_.size() == 1) return;
    if (!begun_) return begin();
    if (warm_ > 0) {  // windows do not count, unless their steps are long
      warm_ -= all;
      if (all < WARM || (first && alone_ <= SLOW && !stalled())) return;
    }
    least_ = windows_ ? std::min(least_, last_) : last_;
    worst_ = windows_ ? std::max(worst_, last_) : last_;
    ++windows_;
    measured_ += all;
    done_ += steps;
    if (looking_ ? trial_done() : measured_ >= TRIAL) finish_trial();
  }

 private:
  static constexpr double TRIAL = 8e-3;  // seconds of windows that say how fast a number is
  static constexpr double ROUND = 1e-3;
  static constexpr double WARM = 3e-3;    // after a change, until threads run on cores of their own
  static constexpr double SLOW = 5e-3;    // a step so long needs no second window
  static constexpr double SHORT = 1e-6;   // of work: less than it takes threads to meet
  static constexpr double STALL = 10e-3;  // no accident is so long
  static constexpr double FAR = 3, HOPELESS = 1.6, CHANGED = 1.25, BETTER = 0.97;
  static constexpr int FEWEST = 4;              // windows of a trial
  static constexpr int SOON = 6, SELDOM = 200;  // trials until the next look

  struct Candidate {
    int threads;
    double seconds = 0;    // of a step, as last seen; 0: not yet
    bool pending = false;  // to be tried in the look under way
  };

  // Windows that agree are believed sooner, and so are those that are far too slow.
  bool trial_done() const {
    if (last_ > SLOW || measured_ >= TRIAL) return true;
    if (windows_ > 1 && beaten(least_, HOPELESS)) return true;
    if (windows_ < FEWEST || measured_ < TRIAL / 2) return false;
    return worst_ < 1.1 * least_;
  }

  // A step that waited for threads without a core: it says enough of a number, where another is
  // known to do without.
  bool stalled() const { return last_ > STALL && beaten(last_, FAR); }

  // Whether another number is known to be so many times faster.
  bool beaten(double seconds, double times) const {
    const double best = tried_[best_].seconds;
    return now_ != best_ && best > 0 && seconds > times * best;
  }

  // After the first step: which numbers are tried first.
  void begin() {
    begun_ = true;
    if (recalled_) {
      warm_ = WARM;
      return begin_trial();
    }
    best_ = now_;
    look_at_all();
  }

  // Few threads would take long over a step that takes the whole team long, unless that is because
  // cores are taken.
  bool slow() const { return last_ > SLOW && last_ < alone_; }

  void look_at_all() { look(slow() ? tried_.size() - 1 : 0, true); }

  // Time `from` and others: neighbours of the present number and what came near it, or all.
  void look(std::size_t from, bool all) {
    looking_ = true;
    for (std::size_t k = 0; k < tried_.size(); ++k) {
      const bool near = k + 1 >= now_ && k <= now_ + 1;
      const bool good =
          tried_[k].seconds > 0 && tried_[k].seconds < HOPELESS * tried_[best_].seconds;
      tried_[k].pending = all ? !slow() || 2 * tried_[k].threads > tried_.back().threads
                              : k != now_ && (near || good);
    }
    before_ = best_;
    move_to(from);
  }

  void finish_trial() {
    Candidate& present = tried_[now_];
    const double before = present.seconds;
    present.seconds =
        measured_ / done_;  // the mean: where cores are taken, rare stalls are the cost
    present.pending = false;
    if (!looking_) return stay(before);
    if (!tried_[best_].seconds || present.seconds < BETTER * tried_[best_].seconds || now_ == best_)
      best_ = now_;
    for (std::size_t k = 0; k < tried_.size(); ++k)
      if (tried_[k].pending) return move_to(k);
    looking_ = false;
    patience_ = best_ != before_ ? SOON : std::min((unrivalled() ? 4 : 2) * patience_, SELDOM);
    waited_ = 0;
    reference_ = tried_[best_].seconds;
    move_to(best_);
  }

  // No other number comes near the best: looking again costs much and promises little.
  bool unrivalled() const {
    const double near = FAR * tried_[best_].seconds;
    return std::none_of(tried_.begin(), tried_.end(), [&](const Candidate& each) {
      return &each != &tried_[best_] && each.seconds < near;
    });
  }

  // A trial's worth of work with the number chosen: is it time to look at others?
  void stay(double before) {
    const double seconds = tried_[now_].seconds;
    if (std::exchange(recalled_, false) &&
        (seconds > CHANGED * reference_ || seconds * CHANGED < reference_))
      return look_at_all();  // what was true then no longer is
    const bool changed = std::min(seconds, before) > CHANGED * reference_ ||
                         std::max(seconds, before) * CHANGED < reference_;
    ++waited_;
    if (waited_ >= patience_ || (changed && waited_ >= std::max(SOON, patience_ / 4)))
      return look(now_, changed);
    begin_trial();
  }

  void move_to(std::size_t k) {
    if (k != now_) {
      warm_ = WARM;
      last_ = 0;  // one step first: where cores are taken, each may wait for a slice of many ms
    }
    now_ = k;
    begin_trial();
  }

  void begin_trial() {
    windows_ = done_ = 0;
    measured_ = 0;
  }

  std::vector<Candidate> tried_;  // from one thread to most
  std::size_t now_ = 0, best_ = 0, before_ = 0;
  int windows_ = 0, done_ = 0;    // of the trial: windows, and steps in them
  double measured_ = 0;           // seconds of all of them
  double least_ = 0, worst_ = 0;  // seconds of a step in a window
  double warm_ = 0;               // seconds to go until windows count
  double last_ = 0;               // seconds of a step in the last window; 0: none as yet
  int window_ = 1;                // its steps
  double reference_ = 0;          // what the number chosen took when it was chosen
  const double alone_;            // seconds of a step on one thread, about
  bool begun_ = false, looking_ = false;
  bool recalled_ = false;  // the number chosen is an earlier tuner's, not yet tried here
  int patience_ = SOON / 2, waited_ = 0;
};

// What the tuners of a process found, for those that come after: a search over many trainings, or a
// fit again, then begins with the number that was best. Of use only while it is free: where another
// thread holds it, as it may for ever in a child of fork, nothing is recalled or kept.
class Tunings {
 public:
  using Work = std::vector<int>;  // all that a step's time depends on

  Findings recall(const Work& work) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return {};
    const auto known = find(work);
    return known == all_.end() ? Findings{} : known->second;
  }

  void keep(const Work& work, Findings found) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || found.seconds.empty()) return;
    const auto known = find(work);
    if (known != all_.end())
      all_.erase(known);
    else if (all_.size() == MOST)
      all_.erase(all_.begin());
    all_.emplace_back(work, std::move(found));
  }

 private:
  static constexpr std::size_t MOST = 64;
  using All = std::vector<std::pair<Work, Findings>>;  // the latest last

  All::iterator find(const Work& work) {
    return std::find_if(all_.begin(), all_.end(), [&](auto& each) { return each.first == work; });
  }

  std::mutex mutex_;
  All all_;
};

}  // namespace pellucid::PELLUCID_LEVEL
