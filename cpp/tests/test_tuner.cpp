// The tuner on machines that are simulated: it finds the best number of threads, stays with it, and
// notices when cores are taken and given back.
#include "check.hpp"
#include "tuner.hpp"

namespace {

using pellucid::PELLUCID_LEVEL::Tuner;

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

  Simulation(const Work& w, int most) : work(w), tuner(most) {}

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
      tuner.note(count, all);
      time += all;
      since_change += all;
      steps += count;
    }
    return double(steps) / (time - begin);
  }
};

constexpr Work SMALL{1e-6, 1e-6, 2e-6}, TABLE{1e-6, 27e-6, 1e-6}, WIDE{0, 4.4e-3, 5e-6},
    HUGE_STEP{0, 0.172, 5e-6};

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

void test_begins_busy() {
  Simulation machine(TABLE, 4);
  const double speed = machine.run(ALL_BUSY, 0.5) * 2 * TABLE.step(1);
  CHECK(speed > 0.75, "busy from the start: %.2f of one thread's speed", speed);
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
  test_quiet("huge", HUGE_STEP, 4, 1);
  test_load();
  test_begins_busy();
  test_one_thread();
  return pellucid::failures();
}
