// Training and prediction for Python: a thin skin around Session. Shapes, dtypes and ranges are
// checked in src/pellucid/engines/fused.py, where the messages are.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <stdexcept>

#include "bind.hpp"
#include "predict.hpp"

namespace nb = nanobind;

namespace pellucid::PELLUCID_LEVEL {

namespace {

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using Doubles = nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using ConstDoubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Order = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class V>
V get(const nb::dict& from, const char* key) {
  return nb::cast<V>(from[key]);
}

Rows::Kind kind_of(const nb::dlpack::dtype& type) {
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
// int64.
Rows rows_of(const nb::object& X) {
  Rows rows;
  if (nb::isinstance<nb::tuple>(X)) {
    const auto parts = nb::cast<nb::tuple>(X);
    const auto starts = nb::cast<nb::ndarray<const std::int64_t, nb::ndim<1>, nb::device::cpu>>(
        parts[2], /*convert=*/false);
    rows.sparse = true;
    const auto values = nb::cast<AnyArray>(parts[0]);
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

// Y is an (n[L], m) array of T with the examples contiguous, or m labels.
template <class T>
Targets<T> targets_of(const nb::object& Y) {
  Targets<T> targets;
  if (Y.is_none()) return targets;
  const auto array = nb::cast<AnyArray>(Y);
  if (array.ndim() == 1)
    targets.labels = static_cast<const std::int64_t*>(array.data());
  else
    targets.values = static_cast<const T*>(array.data());
  return targets;
}

StageSpec stage_of(const nb::dict& from) {
  StageSpec spec;
  spec.dense = get<bool>(from, "dense");
  spec.n_in = get<int>(from, "n_in");
  spec.n_out = get<int>(from, "n_out");
  spec.number = get<int>(from, "number");
  spec.activation = get<int>(from, "activation");
  spec.parameter = get<double>(from, "parameter");
  spec.needs_Z = get<bool>(from, "needs_Z");
  spec.dropout = get<double>(from, "dropout");
  spec.rate_W = get<double>(from, "rate_W");
  spec.rate_b = get<double>(from, "rate_b");
  spec.decay = get<double>(from, "decay");
  return spec;
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
class PySession {
 public:
  PySession(const nb::list& stages, const nb::list& W, const nb::list& b, const nb::dict& loss,
            const nb::dict& optimizer, const nb::dict& settings)
      : kept_(nb::make_tuple(W, b)), session_(spec_of(stages, W, b, loss, optimizer, settings)) {}

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

  double gradients(const nb::object& X, const nb::object& Y, const std::optional<Order>& order,
                   std::int64_t m, const std::optional<ConstDoubles>& weights,
                   std::int64_t position, double whole_weight, const nb::list& dW,
                   const nb::list& db) {
    const Rows rows = rows_of(X);
    const Targets<T> targets = targets_of<T>(Y);
    std::vector<T*> to_W, to_b;
    for (const auto& each : dW) to_W.push_back(pointer<T>(each));
    for (const auto& each : db) to_b.push_back(pointer<T>(each));
    nb::gil_scoped_release release;
    return session_.gradients(rows, targets, order ? order->data() : nullptr, m,
                              weights ? weights->data() : nullptr, position, whole_weight,
                              to_W.data(), to_b.data());
  }

  void apply(const nb::list& dW, const nb::list& db, double rate) {
    std::vector<const T*> from_W, from_b;
    for (const auto& each : dW) from_W.push_back(pointer<const T>(each));
    for (const auto& each : db) from_b.push_back(pointer<const T>(each));
    nb::gil_scoped_release release;
    session_.apply(from_W.data(), from_b.data(), rate);
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

 private:
  // W and b hold a tuple of arrays for each stage: the parameter and its optimizer slots.
  static SessionSpec<T> spec_of(const nb::list& stages, const nb::list& W, const nb::list& b,
                                const nb::dict& loss, const nb::dict& optimizer,
                                const nb::dict& settings) {
    SessionSpec<T> spec;
    for (const auto& each : stages) spec.stages.push_back(stage_of(nb::cast<nb::dict>(each)));
    spec.training = get<bool>(settings, "training");
    for (const auto& each : W)
      spec.W.push_back(lecture_of(nb::cast<nb::tuple>(each), spec.training));
    for (const auto& each : b)
      spec.b.push_back(lecture_of(nb::cast<nb::tuple>(each), spec.training));
    spec.loss.id = get<int>(loss, "id");
    spec.loss.parameter = T(get<double>(loss, "parameter"));
    spec.loss.smoothing = T(get<double>(loss, "smoothing"));
    spec.loss.output_activation = get<int>(loss, "output_activation");
    spec.loss.activation_parameter = T(get<double>(loss, "activation_parameter"));
    spec.loss.fused = get<bool>(loss, "fused");
    spec.optimizer = optimizer_of(optimizer);
    spec.l1 = get<double>(settings, "l1");
    spec.l2 = get<double>(settings, "l2");
    spec.penalty_per_weight = get<bool>(settings, "penalty_per_weight");
    spec.clip_value = get<double>(settings, "clip_value");
    spec.clip_norm = get<double>(settings, "clip_norm");
    spec.batch_size = get<int>(settings, "batch_size");
    spec.threads = get<int>(settings, "threads");
    spec.tuned = get<bool>(settings, "tuned");
    spec.in_place = get<bool>(settings, "in_place");
    spec.seed = get<std::uint64_t>(settings, "seed");
    spec.step = get<std::uint64_t>(settings, "step");
    return spec;
  }

  // A session that only evaluates writes nothing, so read-only arrays will do.
  static Lecture<T> lecture_of(const nb::tuple& arrays, bool training) {
    Lecture<T> lecture;
    if (!training) {
      lecture.values = const_cast<T*>(pointer<const T>(arrays[0]));
      return lecture;
    }
    for (size_t k = 0; k < arrays.size(); ++k)
      (k ? lecture.slots[k - 1] : lecture.values) = pointer<T>(arrays[k]);
    return lecture;
  }

  nb::object kept_;  // the arrays, for as long as the session points into them
  Session<T> session_;
};

// A[L] of a few examples, straight from the network's arrays: one call, nothing kept but pointers.
template <class T>
class PyPredictor {
 public:
  PyPredictor(const nb::list& stages, const nb::list& W, const nb::list& b)
      : kept_(nb::make_tuple(W, b)), predictor_(stages_of(stages, W, b)) {}

  // X is (m, n[0]) and out (m, n[L]), both C-contiguous; they are checked here, once.
  void run(const nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>& X,
           const nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>& out) {
    if (X.shape(0) != out.shape(0) || int(X.shape(1)) != predictor_.n_in() ||
        int(out.shape(1)) != predictor_.n_out())
      throw std::invalid_argument("X and out must be (m, n[0]) and (m, n[L])");
    predictor_.run(X.data(), int(X.shape(0)), out.data());
  }

  // X is sparse, as for a session.
  void run_sparse(const nb::tuple& X,
                  const nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>& out) {
    const Rows rows = rows_of(X);
    if (std::int64_t(out.shape(0)) != rows.examples || int(out.shape(1)) != predictor_.n_out())
      throw std::invalid_argument("out must be (m, n[L])");
    predictor_.run_sparse(rows, out.data());
  }

 private:
  static std::vector<PredictStage<T>> stages_of(const nb::list& stages, const nb::list& W,
                                                const nb::list& b) {
    std::vector<PredictStage<T>> found;
    for (size_t s = 0; s < stages.size(); ++s) {
      const StageSpec spec = stage_of(nb::cast<nb::dict>(stages[s]));
      found.push_back({spec.dense, spec.n_in, spec.n_out, spec.activation, T(spec.parameter),
                       pointer<const T>(W[s]), pointer<const T>(b[s])});
    }
    return found;
  }

  nb::object kept_;
  Predictor<T> predictor_;
};

template <class T>
void bind_predictor(nb::module_& m, const char* name) {
  nb::class_<PyPredictor<T>>(m, name)
      .def(nb::init<const nb::list&, const nb::list&, const nb::list&>())
      .def("run", &PyPredictor<T>::run)
      .def("run_sparse", &PyPredictor<T>::run_sparse);
}

template <class T>
void bind(nb::module_& m, const char* name) {
  using Class = PySession<T>;
  nb::class_<Class>(m, name)
      .def(nb::init<const nb::list&, const nb::list&, const nb::list&, const nb::dict&,
                    const nb::dict&, const nb::dict&>())
      .def("run", &Class::run, nb::arg("X"), nb::arg("Y"), nb::arg("order").none(), nb::arg("m"),
           nb::arg("first"), nb::arg("last"), nb::arg("rates"), nb::arg("weights").none(),
           nb::arg("costs"), nb::arg("interrupted"))
      .def("gradients", &Class::gradients, nb::arg("X"), nb::arg("Y"), nb::arg("order").none(),
           nb::arg("m"), nb::arg("weights").none(), nb::arg("position"), nb::arg("whole_weight"),
           nb::arg("dW"), nb::arg("db"))
      .def("apply", &Class::apply, nb::arg("dW"), nb::arg("db"), nb::arg("rate"))
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

}  // namespace

OptimizerSpec optimizer_of(const nb::dict& from) {
  OptimizerSpec spec;
  spec.id = get<int>(from, "id");
  spec.beta1 = get<double>(from, "beta1");
  spec.beta2 = get<double>(from, "beta2");
  spec.epsilon = get<double>(from, "epsilon");
  spec.decay = get<double>(from, "decay");
  spec.alpha_inside = get<bool>(from, "alpha_inside");
  return spec;
}

void bind_session(nb::module_& m) {
  m.def("worth_sparse", &worth_sparse, nb::arg("entries"), nb::arg("examples"), nb::arg("n_in"));
  bind<float>(m, "Session32");
  bind<double>(m, "Session64");
  bind_predictor<float>(m, "Predictor32");
  bind_predictor<double>(m, "Predictor64");
}

}  // namespace pellucid::PELLUCID_LEVEL
