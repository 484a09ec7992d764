// What bind.cpp puts into the module.
#pragma once

#include <nanobind/nanobind.h>

#include "optimizers.hpp"

namespace pellucid::PELLUCID_LEVEL {

void bind_math(nanobind::module_& m);     // bind_math.cpp: functions by themselves
void bind_measure(nanobind::module_& m);  // bind_measure.cpp: what bounds a step
void bind_session(nanobind::module_& m);  // bind_session.cpp: training and prediction
void bind_network(nanobind::module_& m);  // bind_network.cpp: the same of networks of any stages

OptimizerSpec optimizer_of(const nanobind::dict& from);

}  // namespace pellucid::PELLUCID_LEVEL
