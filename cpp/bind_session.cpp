// Training and prediction for Python: a thin skin around Session. Shapes, dtypes and ranges are
// checked in src/pellucid/engines/fused.py, where the messages are.
#include "bind_training.hpp"
#include "predict.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

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

template <class T>
class PySession : public PyTraining<T, Session<T>> {
 public:
  PySession(const nb::list& stages, const nb::list& W, const nb::list& b, const nb::dict& loss,
            const nb::dict& optimizer, const nb::dict& settings)
      : PyTraining<T, Session<T>>(nb::make_tuple(W, b),
                                  spec_of(stages, W, b, loss, optimizer, settings)) {}

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
    return this->session_.gradients(rows, targets, order ? order->data() : nullptr, m,
                                    weights ? weights->data() : nullptr, position, whole_weight,
                                    to_W.data(), to_b.data());
  }

  void apply(const nb::list& dW, const nb::list& db, double rate) {
    std::vector<const T*> from_W, from_b;
    for (const auto& each : dW) from_W.push_back(pointer<const T>(each));
    for (const auto& each : db) from_b.push_back(pointer<const T>(each));
    nb::gil_scoped_release release;
    this->session_.apply(from_W.data(), from_b.data(), rate);
  }

 private:
  // W and b hold a tuple of arrays for each stage: the parameter and its optimizer slots.
  static SessionSpec<T> spec_of(const nb::list& stages, const nb::list& W, const nb::list& b,
                                const nb::dict& loss, const nb::dict& optimizer,
                                const nb::dict& settings) {
    SessionSpec<T> spec{training_of<T>(loss, optimizer, settings), {}, {}, {}, {}};
    spec.in_place = get<bool>(settings, "in_place");
    for (const auto& each : stages) spec.stages.push_back(stage_of(nb::cast<nb::dict>(each)));
    for (const auto& each : W)
      spec.W.push_back(lecture_of(nb::cast<nb::tuple>(each), spec.training));
    for (const auto& each : b)
      spec.b.push_back(lecture_of(nb::cast<nb::tuple>(each), spec.training));
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
  bind_training<Class>(m, name)
      .def(nb::init<const nb::list&, const nb::list&, const nb::list&, const nb::dict&,
                    const nb::dict&, const nb::dict&>())
      .def("gradients", &Class::gradients, nb::arg("X"), nb::arg("Y"), nb::arg("order").none(),
           nb::arg("m"), nb::arg("weights").none(), nb::arg("position"), nb::arg("whole_weight"),
           nb::arg("dW"), nb::arg("db"))
      .def("apply", &Class::apply, nb::arg("dW"), nb::arg("db"), nb::arg("rate"));
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
