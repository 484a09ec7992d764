// Training and prediction of networks of any stages, for Python: a thin skin around NetworkSession.
#include <nanobind/stl/string.h>

#include <string>

#include "bind_training.hpp"
#include "network.hpp"
#include "network_predict.hpp"

namespace pellucid::PELLUCID_LEVEL {

namespace {

stages::Shape shape_of(const nb::handle& given) {
  const auto from = nb::cast<nb::dict>(given);
  stages::Shape shape;
  shape.rows = get<int>(from, "rows");
  shape.columns = get<int>(from, "columns");
  shape.channels = get<int>(from, "channels");
  shape.sequence = get<bool>(from, "sequence");
  return shape;
}

// A tuple of arrays: a parameter and its optimizer slots. (A session that only evaluates writes
// nothing, so read-only arrays will do.)
template <class T>
stages::Parameter<T> parameter_of(const nb::dict& from, bool training) {
  const auto arrays = nb::cast<nb::tuple>(from["arrays"]);
  stages::Parameter<T> parameter;
  parameter.values = training ? pointer<T>(arrays[0]) : const_cast<T*>(pointer<const T>(arrays[0]));
  for (size_t k = 1; training && k < arrays.size(); ++k)
    parameter.slots[k - 1] = pointer<T>(arrays[k]);
  parameter.size = get<size_t>(from, "size");
  parameter.rate = get<double>(from, "rate");
  parameter.decay = get<double>(from, "decay");
  return parameter;
}

template <class T>
stages::StageSpec<T> stage_of(const nb::dict& from, bool training) {
  stages::StageSpec<T> spec;
  spec.kind = get<std::string>(from, "kind");
  for (const auto& each : nb::cast<nb::list>(from["inputs"]))
    spec.inputs.push_back(nb::cast<int>(each));
  for (const auto& each : nb::cast<nb::list>(from["in"])) spec.others.push_back(shape_of(each));
  spec.in = spec.others.front();
  spec.others.erase(spec.others.begin());
  spec.out = shape_of(from["out"]);
  spec.number = get<int>(from, "number");
  spec.activation = get<int>(from, "activation");
  spec.parameter = T(get<double>(from, "parameter"));
  spec.needs_Z = get<bool>(from, "needs_Z");
  spec.dropout = get<double>(from, "dropout");
  for (const auto& each : nb::cast<nb::list>(from["parameters"]))
    spec.parameters.push_back(parameter_of<T>(nb::cast<nb::dict>(each), training));
  for (const auto& each : nb::cast<nb::list>(from["statistics"]))
    spec.statistics.push_back(const_cast<T*>(pointer<const T>(each)));
  for (const auto& each : nb::cast<nb::list>(from["constants"]))
    spec.constants.push_back(pointer<const T>(each));
  for (const auto& [name, value] : nb::cast<nb::dict>(from["numbers"]))
    spec.numbers[nb::cast<std::string>(name)] = nb::cast<double>(value);
  return spec;
}

template <class T>
std::vector<stages::StageSpec<T>> stages_of(const nb::list& stages, bool training) {
  std::vector<stages::StageSpec<T>> specs;
  for (const auto& each : stages) specs.push_back(stage_of<T>(nb::cast<nb::dict>(each), training));
  return specs;
}

template <class T>
std::vector<T*> pointers(const nb::list& arrays) {
  std::vector<T*> found;
  for (const auto& each : arrays) found.push_back(pointer<T>(each));
  return found;
}

template <class T>
class PyNetwork : public PyTraining<T, NetworkSession<T>> {
 public:
  PyNetwork(const nb::list& stages, double flops, const nb::dict& loss, const nb::dict& optimizer,
            const nb::dict& settings)
      : PyTraining<T, NetworkSession<T>>(stages,
                                         spec_of(stages, flops, loss, optimizer, settings)) {}

  double gradients(const nb::object& X, const nb::object& Y, const std::optional<Order>& order,
                   std::int64_t m, const std::optional<ConstDoubles>& weights,
                   std::int64_t position, double whole_weight, const nb::list& d) {
    const Rows rows = rows_of(X);
    const Targets<T> targets = targets_of<T>(Y);
    const std::vector<T*> to = pointers<T>(d);
    nb::gil_scoped_release release;
    return this->session_.gradients(rows, targets, order ? order->data() : nullptr, m,
                                    weights ? weights->data() : nullptr, position, whole_weight,
                                    to.data());
  }

  void apply(const nb::list& d, double rate) {
    const std::vector<const T*> from = pointers<const T>(d);
    nb::gil_scoped_release release;
    this->session_.apply(from.data(), rate);
  }

 private:
  static NetworkSpec<T> spec_of(const nb::list& stages, double flops, const nb::dict& loss,
                                const nb::dict& optimizer, const nb::dict& settings) {
    const auto training = training_of<T>(loss, optimizer, settings);
    return {training, stages_of<T>(stages, training.training), flops};
  }
};

// A[L] of a few examples, straight from the network's arrays.
template <class T>
class PyNetworkPredictor {
 public:
  PyNetworkPredictor(const nb::list& stages, const nb::dict& loss)
      : kept_(stages), predictor_(stages_of<T>(stages, false), loss_of<T>(loss)) {}

  // X is (m, n[0]) and out (m, n[L]), both C-contiguous; they are checked here, once.
  void run(const nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>& X,
           const nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>& out) {
    if (X.shape(0) != out.shape(0) || int(X.shape(1)) != predictor_.n_in() ||
        int(out.shape(1)) != predictor_.n_out())
      throw std::invalid_argument("X and out must be (m, n[0]) and (m, n[L])");
    predictor_.run(X.data(), int(X.shape(0)), out.data());
  }

 private:
  nb::object kept_;
  NetworkPredictor<T> predictor_;
};

template <class T>
void bind_predictor(nb::module_& m, const char* name) {
  nb::class_<PyNetworkPredictor<T>>(m, name)
      .def(nb::init<const nb::list&, const nb::dict&>())
      .def("run", &PyNetworkPredictor<T>::run);
}

template <class T>
void bind(nb::module_& m, const char* name) {
  using Class = PyNetwork<T>;
  bind_training<Class>(m, name)
      .def(nb::init<const nb::list&, double, const nb::dict&, const nb::dict&, const nb::dict&>())
      .def("gradients", &Class::gradients, nb::arg("X"), nb::arg("Y"), nb::arg("order").none(),
           nb::arg("m"), nb::arg("weights").none(), nb::arg("position"), nb::arg("whole_weight"),
           nb::arg("d"))
      .def("apply", &Class::apply, nb::arg("d"), nb::arg("rate"));
}

}  // namespace

void bind_network(nb::module_& m) {
  bind<float>(m, "Network32");
  bind<double>(m, "Network64");
  bind_predictor<float>(m, "NetworkPredictor32");
  bind_predictor<double>(m, "NetworkPredictor64");
  nb::list kinds;
  for (const char* each : stages::KIND_NAMES) kinds.append(each);
  m.attr("kinds") = nb::tuple(kinds);
}

}  // namespace pellucid::PELLUCID_LEVEL
