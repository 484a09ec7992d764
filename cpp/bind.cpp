// The Python module of one SIMD level: pellucid.engines._fused_<level>.
#include "bind.hpp"

#include <nanobind/nanobind.h>

#define PELLUCID_QUOTE(x) #x
#define PELLUCID_STRING(x) PELLUCID_QUOTE(x)

NB_MODULE(PELLUCID_MODULE, m) {
  nanobind::set_leak_warnings(false);  // what a program still holds at its end is no leak of ours
  m.attr("level") = PELLUCID_STRING(PELLUCID_LEVEL);
  pellucid::PELLUCID_LEVEL::bind_math(m);
  pellucid::PELLUCID_LEVEL::bind_measure(m);
  pellucid::PELLUCID_LEVEL::bind_session(m);
  pellucid::PELLUCID_LEVEL::bind_network(m);
}
