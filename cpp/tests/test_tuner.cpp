// The tuner on machines that are simulated: it finds the best number of threads, stays with it, and
// notices when cores are taken and given back.
#include "check.hpp"
#include "tuner.hpp"

namespace {

using pellucid::PELLUCID_LEVEL::Findings;
using pellucid::PELLUCID_LEVEL::Tuner;
using pellucid::PELLUCID_LEVEL::Tunings;

// Seconds of a step; `parallel` of them can be shared, each further thread costs `barrier`.
struct Work {
  double serial, parallel, barrier;
  double step(int n) const { return serial + parallel / n + barrier * (n - 1); }
};

enum Machine { QUIET, ONE_CORE_TAKEN, ALL_BUSY };

struct Simulation {
  Work work;
  Tuner tuner;
  double time = 0, since_change = 0;
  int threads = 0;
  unsigned random = 1;

  Simulation(const Work& w, int most, const Findings& known = {})
      : work(w), tuner(most, known, 1, w.step(1)) {}

  double uniform() {
    random = random * 1664525u + 1013904223u;
    return double(random >> 8) / double(1u << 24);
  }

  // How much longer things take: a team waits for its slowest thread, and that for a slice of 3 ms.
  double slowness(Machine machine, int n) {
    double factor = 1 + 0.03 * uniform();
    const double slice = double(long(time / 3e-3) % 2);  // whose turn it is
    if (machine == ONE_CORE_TAKEN && n == 4) factor *= 1 + 2 * slice * uniform();
    if (machine == ALL_BUSY) factor *= n == 1 ? 1.5 + slice : 2 * n * (0.7 + 0.6 * uniform());
    return factor;
  }

  // Steps a second over some time.
  double run(Machine machine, double seconds) {
    const double end = time + seconds, begin = time;
    long steps = 0;
    while (time < end) {
      const int n = tuner.choose(), count = tuner.steps();
      if (n != threads) since_change = 0;
      threads = n;
      double all = count * work.step(n) * slowness(machine, n);
      if (n > 1 && since_change < 2e-3) all += std::min(all, 2e-3);  // threads find their cores
      if (uniform() < 0.01) all += 3e-3;                             // a disturbance
      if (machine == ALL_BUSY && n > 1)
        all += count * 4e-3 * (n - 1) * uniform();  // others' slices
      tuner.note(count, all);
      time += all;
      since_change += all;
      steps += count;
    }
    return double(steps) / (time - begin);
  }
};

constexpr Work SMALL{1e-6, 1e-6, 2e-6}, TABLE{1e-6, 27e-6, 1e-6}, WIDE{0, 4.4e-3, 5e-6},
    LONG{0, 6.4e-3, 5e-6}, HUGE_STEP{0, 0.172, 5e-6};

void test_quiet(const char* name, const Work& work, int expected, double within) {
  Simulation machine(work, 4);
  machine.run(QUIET, within);
  const double speed = machine.run(QUIET, 2) * work.step(expected);
  CHECK(machine.tuner.choose() == expected, "%s: %d threads", name, machine.tuner.choose());
  CHECK(speed > 0.9, "%s: %.2f of the speed with the best number", name, speed);
}

void test_load() {
  Simulation machine(TABLE, 4);
  machine.run(QUIET, 0.2);
  machine.run(ONE_CORE_TAKEN, 0.3);
  const double some = machine.run(ONE_CORE_TAKEN, 3) * TABLE.step(4);
  CHECK(some > 0.6, "one core taken: %.2f of the quiet speed", some);
  machine.run(ALL_BUSY, 0.5);
  const double busy = machine.run(ALL_BUSY, 3) * 2 * TABLE.step(1);
  CHECK(busy > 0.85, "all busy: %.2f of one thread's speed", busy);
  machine.run(QUIET, 1.5);
  const double quiet = machine.run(QUIET, 1) * TABLE.step(4);
  CHECK(quiet > 0.9, "quiet again: %.2f of the best speed", quiet);
}

void test_begins_busy(const char* name, const Work& work, double within) {
  Simulation machine(work, 4);
  const double speed = machine.run(ALL_BUSY, within) * 2 * work.step(1);
  CHECK(speed > 0.75, "%s, busy from the start: %.2f of one thread's speed", name, speed);
}

// What was found on one machine, with which a training begins that finds it the same or another.
void test_recalled() {
  Simulation before(TABLE, 4), new_to_it(TABLE, 4), busy_before(TABLE, 4);
  before.run(QUIET, 0.3);
  busy_before.run(ALL_BUSY, 0.5);
  const auto quiet = before.tuner.findings(), busy = busy_before.tuner.findings();
  CHECK(quiet.best == 3, "%d threads were found", int(quiet.best) + 1);
  CHECK(busy.best == 0, "%d threads were found where all is busy", int(busy.best) + 1);

  Simulation again(TABLE, 4, quiet);
  const double first = new_to_it.run(QUIET, 0.03) * TABLE.step(4);
  const double second = again.run(QUIET, 0.03) * TABLE.step(4);
  CHECK(first < 0.8 && second > 0.9, "%.2f and %.2f of the best speed at the start", first, second);

  Simulation now_busy(TABLE, 4, quiet);
  const double some = now_busy.run(ALL_BUSY, 0.5) * 2 * TABLE.step(1);
  CHECK(some > 0.75, "busy now: %.2f of one thread's speed", some);
  Simulation now_free(TABLE, 4, busy);
  now_free.run(QUIET, 0.1);
  const double free = now_free.run(QUIET, 0.5) * TABLE.step(4);
  CHECK(free > 0.85, "free now: %.2f of the best speed", free);
}

void test_tunings() {
  Tunings all;
  CHECK(all.recall({20, 100}).seconds.empty(), "nothing is known at first");
  all.keep({20, 100}, {{3e-5, 2e-5}, 1});
  all.keep({20, 100}, {});  // a training too short to find anything
  CHECK(all.recall({20, 100}).best == 1 && all.recall({20, 100}).seconds.size() == 2);
  CHECK(all.recall({20, 101}).seconds.empty(), "another work");
  all.keep({20, 100}, {{1e-5, 2e-5}, 0});
  CHECK(all.recall({20, 100}).best == 0, "the latest counts");
  for (int k = 0; k < 1000; ++k) all.keep({k}, {{1e-5, 2e-5}, 1});
  CHECK(all.recall({20, 100}).seconds.empty() && all.recall({900}).seconds.empty() &&
            !all.recall({999}).seconds.empty(),
        "only the latest stay");
  const Tuner fewer(2, {{1e-5, 2e-5, 3e-5}, 2}, 1, 1);
  CHECK(fewer.choose() == 2, "found for more threads: %d", fewer.choose());
}

void test_too_little_to_share() {
  Tuner tuner(4, {}, 1, 1e-7);
  int most = 0;
  for (int k = 0; k < 1000; ++k) {
    most = std::max(most, tuner.choose());
    tuner.note(tuner.steps(), 1e-6 * tuner.steps());
  }
  CHECK(most == 1, "%d threads", most);
  CHECK(Tuner(4, {}, 4, 1e-7).choose() == 4, "all are to take part");
}

void test_one_thread() {
  Tuner tuner(1);
  tuner.note(1, 1e-3);
  CHECK(tuner.choose() == 1 && tuner.steps() == 1, "%d steps", tuner.steps());
}

}  // namespace

int main() {
  test_quiet("small", SMALL, 1, 0.05);
  test_quiet("table", TABLE, 4, 0.05);
  test_quiet("wide", WIDE, 4, 0.15);
  test_quiet("long", LONG, 4, 0.2);
  test_quiet("huge", HUGE_STEP, 4, 1);
  test_load();
  test_begins_busy("table", TABLE, 0.5);
  test_begins_busy("long", LONG, 1);
  test_recalled();
  test_tunings();
  test_too_little_to_share();
  test_one_thread();
  return pellucid::failures();
}
