// The machine's limits for Python; the messages are in src/pellucid/engines/measure.py.
#include "bind.hpp"
#include "measure.hpp"

namespace nb = nanobind;

namespace pellucid::PELLUCID_LEVEL {

void bind_measure(nb::module_& m) {
  m.def("fma_gflops", [](bool single, int threads, double seconds) {
    nb::gil_scoped_release release;
    return single ? fma_gflops<float>(threads, seconds) : fma_gflops<double>(threads, seconds);
  });
  m.def("team_gflops", [](int threads, double seconds) {
    nb::gil_scoped_release release;
    return Teamwork(threads).gflops(seconds);
  });
  m.def("optimizer_seconds", [](const nb::dict& optimizer, std::size_t parameters, bool single,
                                int threads, double seconds) {
    const OptimizerSpec spec = optimizer_of(optimizer);
    nb::gil_scoped_release release;
    return single ? optimizer_seconds<float>(spec, parameters, threads, seconds)
                  : optimizer_seconds<double>(spec, parameters, threads, seconds);
  });
}

}  // namespace pellucid::PELLUCID_LEVEL
