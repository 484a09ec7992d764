// A team: every thread does its part of every run, and threads found on one CPU are parted.
#include "check.hpp"
#include "team.hpp"

namespace {

using pellucid::PELLUCID_LEVEL::Cpus;
using pellucid::PELLUCID_LEVEL::Team;

constexpr int MOST = 4, RUNS = 200;

void test_runs() {
  Team team(MOST);
  for (int k = 0; k < RUNS; ++k) {
    const int active = 1 + k % MOST;
    int calls[MOST] = {}, seen[MOST] = {};
    auto job = [&](int t) {
      ++calls[t];
      team.barrier();
      for (int u = 0; u < active; ++u) seen[t] += calls[u];
    };
    team.run(active, job);
    team.part();
    for (int t = 0; t < MOST; ++t)
      CHECK(calls[t] == int(t < active) && seen[t] == (t < active ? active : 0),
            "%d of %d: %d calls, %d seen", t, active, calls[t], seen[t]);
  }
}

void test_next_cpu() {
  const Cpus cpus;
  const auto none_taken = [](int) { return false; };
  const int first = cpus.next(-1, none_taken);
  if (first < 0) return;  // nothing is known of the CPUs of this system
  CHECK(cpus.next(-1, [](int) { return true; }) == -1, "all are taken");
  int count = 1;
  for (int cpu = cpus.next(first, none_taken); cpu != first; cpu = cpus.next(cpu, none_taken)) {
    CHECK(cpus.next(first, [=](int c) { return c != cpu; }) == cpu, "CPU %d alone is free", cpu);
    ++count;
  }
  CHECK(count <= int(std::thread::hardware_concurrency()), "%d CPUs", count);
}

// The second thread goes where the first is, again and again. The scheduler may send it back or be
// quicker, so not every run has to tell.
void test_parting() {
  const Cpus cpus;
  const int first = cpus.next(-1, [](int) { return false; });
  if (first < 0 || cpus.next(first, [=](int cpu) { return cpu == first; }) < 0) return;  // only one
  Team team(2);
  int parted = 0;
  for (int k = 0; k < RUNS; ++k) {
    int where[2];
    auto meet = [&](int t) {
      if (t == 0) where[0] = Cpus::here();
      team.barrier();
      if (t == 1) {
        cpus.stay_on(0, where[0]);
        cpus.roam();
      }
    };
    auto look = [&](int t) { where[t] = Cpus::here(); };
    team.run(2, meet);
    team.part();
    team.run(2, look);
    parted += where[0] != where[1];
    for (int calm = 0; calm < 8; ++calm) {  // it becomes less patient again
      team.run(2, look);
      team.part();
    }
  }
  CHECK(2 * parted > RUNS, "%d of %d were parted", parted, RUNS);
}

}  // namespace

int main() {
  test_runs();
  test_next_cpu();
  test_parting();
  return pellucid::failures();
}
