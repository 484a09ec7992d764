// What the bindings of both kinds of session share: arrays as pointers, and the calls that are the
// same. Shapes, dtypes and ranges are checked in src/pellucid/engines/fused, where the messages
// are.
#pragma once

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>
#include <stdexcept>
#include <vector>

#include "bind.hpp"
#include "rows.hpp"
#include "training.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace nb = nanobind;

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using Doubles = nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ConstDoubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Order = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class V>
inline V get(const nb::dict& from, const char* key) {
  return nb::cast<V>(from[key]);
}

inline Rows::Kind kind_of(const nb::dlpack::dtype& type) {
  if (type == nb::dtype<float>()) return Rows::F32;
  if (type == nb::dtype<double>()) return Rows::F64;
  if (type == nb::dtype<std::uint8_t>()) return Rows::U8;
  if (type == nb::dtype<std::int32_t>()) return Rows::I32;
  if (type == nb::dtype<std::int64_t>()) return Rows::I64;
  throw std::invalid_argument("X must be float32, float64, uint8, int32 or int64");
}

// Never a converted copy, which would be gone when the pointer is used.
template <class T>
T* pointer(const nb::handle& array) {
  constexpr bool CONVERT = false;
  if (array.is_none()) return nullptr;
  return nb::cast<nb::ndarray<T, nb::device::cpu>>(array, CONVERT).data();
}

// X is an (n[0], m) array, or (data, indices, indptr) of a CSC matrix: floats or doubles, int32,
// int64; or a pair of such an X and the lengths of its sequences.
inline Rows rows_of(const nb::object& X) {
  Rows rows;
  if (nb::isinstance<nb::tuple>(X)) {
    const auto parts = nb::cast<nb::tuple>(X);
    if (parts.size() == 2) {
      rows = rows_of(parts[0]);
      rows.lengths = pointer<const std::int64_t>(parts[1]);
      return rows;
    }
    const auto starts = nb::cast<nb::ndarray<const std::int64_t, nb::ndim<1>, nb::device::cpu>>(
        parts[2], /*convert=*/false);
    const auto values = nb::cast<AnyArray>(parts[0]);
    rows.sparse = true;
    rows.kind = kind_of(values.dtype());
    if (rows.kind != Rows::F32 && rows.kind != Rows::F64)
      throw std::invalid_argument("the values of a sparse X must be float32 or float64");
    rows.values = values.data();
    rows.inputs = pointer<const std::int32_t>(parts[1]);
    rows.starts = starts.data();
    rows.examples = std::int64_t(starts.shape(0)) - 1;
    return rows;
  }
  const auto array = nb::cast<AnyArray>(X);
  rows.kind = kind_of(array.dtype());
  rows.values = array.data();
  rows.feature_stride = array.stride(0);
  rows.example_stride = array.stride(1);
  return rows;
}

// Y is an (n[L], m) array of T with the examples contiguous, or m labels, or (steps, m) of them.
template <class T>
Targets<T> targets_of(const nb::object& Y) {
  Targets<T> targets;
  if (Y.is_none()) return targets;
  const auto array = nb::cast<AnyArray>(Y);
  if (array.dtype() == nb::dtype<std::int64_t>())
    targets.labels = static_cast<const std::int64_t*>(array.data());
  else
    targets.values = static_cast<const T*>(array.data());
  return targets;
}

// What `interrupted` needs: Python signals are seen only by a thread that holds the GIL.
struct Interruption {
  nb::object ask;
  bool failed = false;

  static bool look(void* self) {
    auto& me = *static_cast<Interruption*>(self);
    nb::gil_scoped_acquire hold;
    if (PyErr_CheckSignals() != 0) {
      me.failed = true;
      return true;
    }
    return nb::cast<bool>(me.ask());
  }
};

template <class T>
LossSpec<T> loss_of(const nb::dict& from) {
  LossSpec<T> spec;
  spec.id = get<int>(from, "id");
  spec.parameter = T(get<double>(from, "parameter"));
  spec.smoothing = T(get<double>(from, "smoothing"));
  spec.output_activation = get<int>(from, "output_activation");
  spec.activation_parameter = T(get<double>(from, "activation_parameter"));
  spec.fused = get<bool>(from, "fused");
  return spec;
}

template <class T>
TrainingSpec<T> training_of(const nb::dict& loss, const nb::dict& optimizer,
                            const nb::dict& settings) {
  TrainingSpec<T> spec;
  spec.loss = loss_of<T>(loss);
  spec.optimizer = optimizer_of(optimizer);
  spec.l1 = get<double>(settings, "l1");
  spec.l2 = get<double>(settings, "l2");
  spec.penalty_per_weight = get<bool>(settings, "penalty_per_weight");
  spec.clip_value = get<double>(settings, "clip_value");
  spec.clip_norm = get<double>(settings, "clip_norm");
  spec.batch_size = get<int>(settings, "batch_size");
  spec.threads = get<int>(settings, "threads");
  spec.tuned = get<bool>(settings, "tuned");
  spec.seed = get<std::uint64_t>(settings, "seed");
  spec.step = get<std::uint64_t>(settings, "step");
  spec.training = get<bool>(settings, "training");
  return spec;
}

// A session, and the arrays for as long as it points into them.
template <class T, class S>
class PyTraining {
 public:
  template <class Spec>
  PyTraining(nb::object kept, const Spec& spec) : kept_(std::move(kept)), session_(spec) {}

  int run(const nb::object& X, const nb::object& Y, const std::optional<Order>& order,
          std::int64_t m, int first, int last, const ConstDoubles& rates,
          const std::optional<ConstDoubles>& weights, const Doubles& costs,
          const nb::object& interrupted) {
    const Rows rows = rows_of(X);
    const Targets<T> targets = targets_of<T>(Y);
    Interruption watch{interrupted};
    int done;
    {
      nb::gil_scoped_release release;
      done = session_.run(rows, targets, order ? order->data() : nullptr, m, first, last,
                          rates.data(), weights ? weights->data() : nullptr, costs.data(),
                          &Interruption::look, &watch);
    }
    if (watch.failed) throw nb::python_error();
    return done;
  }

  void evaluate(const nb::object& X, const nb::object& Y, const std::optional<Order>& order,
                std::int64_t m, const std::optional<ConstDoubles>& weights, const nb::object& out,
                const nb::object& losses) {
    const Rows rows = rows_of(X);
    const Targets<T> targets = targets_of<T>(Y);
    T* to = pointer<T>(out);
    double* each = pointer<double>(losses);
    nb::gil_scoped_release release;
    session_.evaluate(rows, targets, order ? order->data() : nullptr, m,
                      weights ? weights->data() : nullptr, to, each);
  }

  void skip() { session_.skip(); }
  void forget() { session_.forget(); }
  void read() { session_.read(); }
  void write() { session_.write(); }
  void write_memory() { session_.write_memory(); }
  bool same() { return session_.same(); }
  bool finite() { return session_.finite(); }
  std::uint64_t step() const { return session_.step(); }
  int threads() const { return session_.threads(); }

 protected:
  nb::object kept_;
  S session_;
};

template <class Class>
nb::class_<Class> bind_training(nb::module_& m, const char* name) {
  return nb::class_<Class>(m, name)
      .def("run", &Class::run, nb::arg("X"), nb::arg("Y"), nb::arg("order").none(), nb::arg("m"),
           nb::arg("first"), nb::arg("last"), nb::arg("rates"), nb::arg("weights").none(),
           nb::arg("costs"), nb::arg("interrupted"))
      .def("skip", &Class::skip)
      .def("forget", &Class::forget)
      .def("evaluate", &Class::evaluate, nb::arg("X"), nb::arg("Y").none(), nb::arg("order").none(),
           nb::arg("m"), nb::arg("weights").none(), nb::arg("out").none(), nb::arg("losses").none())
      .def("read", &Class::read, nb::call_guard<nb::gil_scoped_release>())
      .def("write", &Class::write, nb::call_guard<nb::gil_scoped_release>())
      .def("write_memory", &Class::write_memory, nb::call_guard<nb::gil_scoped_release>())
      .def("same", &Class::same, nb::call_guard<nb::gil_scoped_release>())
      .def("finite", &Class::finite, nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("step", &Class::step)
      .def_prop_ro("threads", &Class::threads);
}

}  // namespace pellucid::PELLUCID_LEVEL
