// pellucid.engines._cpu: what this CPU can run, in a module that every CPU can run.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "cpu.hpp"

NB_MODULE(_cpu, m) {
  m.attr("architecture") = pellucid::cpu::ARCHITECTURE;
  m.def("missing", &pellucid::cpu::missing);
  m.attr("half_width_avx512") = pellucid::cpu::half_width_avx512();
}
