// What bind.cpp puts into the module.
#pragma once

#include <nanobind/nanobind.h>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

void bind_math(nanobind::module_& m);     // bind_math.cpp: functions by themselves
void bind_session(nanobind::module_& m);  // bind_session.cpp: training and prediction

}  // namespace pellucid::PELLUCID_LEVEL
