// Shares of the work: nothing is left out or done twice, slow threads get less, and shares change
// where that is worth it and then stay.
#include <cmath>
#include <numeric>

#include "check.hpp"
#include "shares.hpp"

namespace {

using pellucid::PELLUCID_LEVEL::Share;
using pellucid::PELLUCID_LEVEL::Shares;
using pellucid::PELLUCID_LEVEL::Speeds;

using Numbers = std::vector<double>;

void test_all_is_shared() {
  for (const Numbers& speeds : {Numbers{1}, Numbers{1, 1, 1}, Numbers{1, 0.31, 0.7, 1.9}}) {
    const Shares shares(speeds);
    const int threads = shares.threads();
    for (const int n : {0, 1, 2, 7, 32, 1000}) {
      int done = 0;
      for (int t = 0; t < threads; ++t) {
        const Share own = shares.of(n, t);
        CHECK(own.begin == done && own.end >= own.begin, "%d of %d: %d to %d", t, n, own.begin,
              own.end);
        done = own.end;
      }
      CHECK(done == n, "%d of %d things are shared", done, n);
      const std::vector<int> cuts = shares.whole(n);
      CHECK(cuts.empty() || (int(cuts.size()) == threads + 1 && cuts.back() == n),
            "%d panels are not shared", n);
      for (int t = 0; t + 1 < int(cuts.size()); ++t)
        CHECK(cuts[t] < cuts[t + 1], "thread %d has none of %d panels", t, n);
    }
  }
}

void test_whole_panels() {
  using Cuts = std::vector<int>;
  const Shares even(Numbers{1, 1, 1, 1});
  CHECK((even.whole(8) == Cuts{0, 2, 4, 6, 8}), "8 panels of 4 threads");
  CHECK((even.whole(7) == Cuts{0, 2, 4, 6, 7}), "7 panels of 4 threads");
  CHECK(even.whole(5).empty(), "5 panels of 4 threads are too uneven");
  CHECK(even.whole(3).empty(), "3 panels of 4 threads");
  CHECK((Shares(Numbers{1, 0.5, 1, 1}).whole(7) == Cuts{0, 2, 3, 5, 7}),
        "the slow one gets 1 of 7");
  CHECK((Shares(Numbers{1, 0.5, 1, 1}).whole(28) == Cuts{0, 8, 12, 20, 28}), "the slow one gets 4");
}

// Threads of these speeds, each with a fixed part of a step beside its share, for a second.
struct Simulation {
  Numbers truth;
  double fixed = 0, noise = 0;
  int panels = 0;  // 0: any share
  Speeds speeds{int(truth.size())};
  Shares shares{Numbers(truth.size(), 1.0)};
  int changes = 0;
  unsigned random = 1;

  double uniform() {
    random = random * 1664525u + 1013904223u;
    return double(random >> 8) / double(1u << 24);
  }

  Numbers work(const Shares& of) const {
    const std::vector<int> cuts = panels ? of.whole(panels) : std::vector<int>();
    Numbers all;
    for (int t = 0; t < of.threads(); ++t)
      all.push_back(cuts.empty() ? of.part(t) : double(cuts[t + 1] - cuts[t]) / panels);
    return all;
  }

  double longest() const {
    double most = 0;
    const Numbers now = work(shares);
    for (size_t t = 0; t < truth.size(); ++t) most = std::max(most, (fixed + now[t]) / truth[t]);
    return most;
  }

  void run() {
    for (int window = 0; window < 1000; ++window) {
      const Numbers now = work(shares);
      Numbers busy;
      for (size_t t = 0; t < truth.size(); ++t)
        busy.push_back((fixed + now[t]) / truth[t] * (1 + noise * uniform()));
      speeds.note(now, busy, 1e-3);
      const Shares next(speeds.of(int(truth.size())));
      if (!speeds.worth(now, work(next))) continue;
      shares = next;
      ++changes;
    }
  }
};

void test_speeds_are_found() {
  Simulation half{{1, 1, 0.5, 1}};
  half.run();
  CHECK(half.longest() < 1.1 / 3.5, "%g of a step with one thread at half speed", half.longest());
  CHECK(half.changes < 20, "%d changes of the shares", half.changes);

  Simulation alike{{1, 1, 1, 1}, 0.05, 0.1, 7};
  alike.run();
  CHECK(alike.changes == 0, "%d changes where threads are alike", alike.changes);

  Simulation panels{{0.6, 1, 1, 1}, 0.05, 0.1, 7};
  panels.run();
  CHECK(panels.longest() < 1.01 * (0.05 + 2.0 / 7), "%g of a step in 7 panels", panels.longest());
  CHECK(panels.changes == 1, "%d changes of 7 panels", panels.changes);
}

void test_nothing_is_learnt_from_nothing() {
  Speeds speeds(2);
  speeds.note({0, 1}, {1, 1}, 1);
  speeds.note({1, 1}, {0, 1}, 1);
  CHECK((speeds.of(2) == Numbers{1, 1}), "a thread that did nothing has no speed");
}

}  // namespace

int main() {
  test_all_is_shared();
  test_whole_panels();
  test_speeds_are_found();
  test_nothing_is_learnt_from_nothing();
  return pellucid::failures();
}
