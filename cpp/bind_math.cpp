// The vector functions, activations, losses and draws for Python, where the tests hold them against
// the reference. Only the ids are used elsewhere.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <stdexcept>
#include <vector>

#include "bind.hpp"
#include "losses.hpp"
#include "optimizers.hpp"
#include "permutation.hpp"

namespace nb = nanobind;

namespace pellucid::PELLUCID_LEVEL {

namespace {

template <class T>
using In = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Out = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Table = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using OutTable = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// out = f(x, ...) vector by vector; all arrays have the size of `out`.
template <class T, class F, class... Arrays>
void each(F f, const Out<T>& out, const Arrays&... in) {
  const int n = int(out.size());
  if (((in.size() != out.size()) || ...)) throw std::invalid_argument("sizes differ");
  for_vectors<T>(n, [&](int k, int count) {
    store_up_to(out.data() + k, f(load_up_to<T>(in.data() + k, count)...), count);
  });
}

template <class T>
void math(const std::string& name, const In<T>& x, const Out<T>& out) {
#define PELLUCID_TRY(function) \
  if (name == #function) return each<T>([](Vec<T> v) { return function<T>(v); }, out, x);
  PELLUCID_TRY(exp)
  PELLUCID_TRY(expm1)
  PELLUCID_TRY(log)
  PELLUCID_TRY(log1p)
  PELLUCID_TRY(tanh)
  PELLUCID_TRY(sigmoid)
  PELLUCID_TRY(softplus)
#undef PELLUCID_TRY
  throw std::invalid_argument("no such function: " + name);
}

template <class F>
void by_name(const std::string& name, F f) {
  for (int id = 0; id < ID_Softmax; ++id)
    if (name == ACTIVATION_NAMES[id].name) return with_activation(id, f);
  throw std::invalid_argument("no such activation: " + name);
}

template <class T>
void activation(const std::string& name, const In<T>& z, T p, const Out<T>& out) {
  by_name(name, [&](auto g) {
    using G = decltype(g);
    each<T>([p](Vec<T> v) { return G::template g<T>(v, p); }, out, z);
  });
}

template <class T>
void activation_slope(const std::string& name, const In<T>& z, const In<T>& a, T p,
                      const Out<T>& out) {
  by_name(name, [&](auto g) {
    using G = decltype(g);
    each<T>([p](Vec<T> v, Vec<T> value) { return G::template slope<T>(v, value, p); }, out, z, a);
  });
}

// Z, Y, A and dZ are (m, n): an example a row. `together`: in one call, else one by one.
template <class T>
void example_losses(const nb::dict& from, const Table<T>& Z, const std::optional<Table<T>>& Y,
                    const std::optional<In<int>>& labels, const In<T>& weights,
                    const OutTable<T>& A, const Out<double>& losses, const OutTable<T>& dZ,
                    bool together) {
  LossSpec<T> spec;
  spec.id = nb::cast<int>(from["id"]);
  spec.parameter = T(nb::cast<double>(from["parameter"]));
  spec.smoothing = T(nb::cast<double>(from["smoothing"]));
  spec.output_activation = nb::cast<int>(from["output_activation"]);
  spec.activation_parameter = T(nb::cast<double>(from["activation_parameter"]));
  spec.fused = nb::cast<bool>(from["fused"]);
  const int m = int(Z.shape(0)), n = int(Z.shape(1));
  const std::size_t stride = Z.shape(1);
  std::vector<const T*> y;
  for (int r = 0; r < m && Y; ++r) y.push_back(Y->data() + std::size_t(r) * stride);
  std::vector<Label<T>> numbers;
  if (labels) numbers.assign(labels->data(), labels->data() + m);
  if (together) {
    loss_rows(
        spec, n,
        LossRows<T>{m, stride, Z.data(), A.data(), Y ? y.data() : nullptr,
                    labels ? numbers.data() : nullptr, weights.data(), losses.data(), dZ.data()});
    return;
  }
  for (int r = 0; r < m; ++r) {
    const std::size_t at = std::size_t(r) * stride;
    losses.data()[r] =
        example_loss<T>(spec, n, Z.data() + at, A.data() + at, Y ? y[std::size_t(r)] : nullptr,
                        labels ? labels->data()[r] : -1, weights.data()[r], dZ.data() + at, true);
  }
}

// A, (m, n), from Z, an example at a time: what a prediction does.
template <class T>
void outputs(int id, T p, const Table<T>& Z, const OutTable<T>& A) {
  LossSpec<T> spec;
  spec.output_activation = id;
  spec.activation_parameter = p;
  for (std::size_t r = 0; r < Z.shape(0); ++r)
    output_activation<T>(spec, int(Z.shape(1)), Z.data() + r * Z.shape(1),
                         A.data() + r * Z.shape(1));
}

template <class T>
void bind(nb::module_& m) {
  m.def("math", &math<T>, nb::arg(), nb::arg("x").noconvert(), nb::arg("out").noconvert());
  m.def("activation", &activation<T>, nb::arg(), nb::arg("z").noconvert(), nb::arg("p"),
        nb::arg("out").noconvert());
  m.def("activation_slope", &activation_slope<T>, nb::arg(), nb::arg("z").noconvert(),
        nb::arg("a").noconvert(), nb::arg("p"), nb::arg("out").noconvert());
  m.def("example_losses", &example_losses<T>, nb::arg("spec"), nb::arg("Z").noconvert(),
        nb::arg("Y").noconvert().none(), nb::arg("labels").noconvert().none(),
        nb::arg("weights").noconvert(), nb::arg("A").noconvert(), nb::arg("losses").noconvert(),
        nb::arg("dZ").noconvert(), nb::arg("together"));
  m.def("outputs", &outputs<T>, nb::arg("id"), nb::arg("p"), nb::arg("Z").noconvert(),
        nb::arg("A").noconvert());
}

}  // namespace

void bind_math(nb::module_& m) {
  nb::dict activations, losses, optimizers;
  nb::list needs_z;
  for (int id = 0; id <= ID_Softmax; ++id) {
    activations[ACTIVATION_NAMES[id].name] = id;
    if (ACTIVATION_NAMES[id].needs_Z) needs_z.append(ACTIVATION_NAMES[id].name);
  }
  for (int id = 0; id < LOSS_COUNT; ++id) losses[LOSS_NAMES[id]] = id;
  for (const OptimizerName& each : OPTIMIZER_NAMES) optimizers[each.name] = each.id;
  m.attr("layers") = nb::make_tuple("dense", "scale");
  m.attr("activation_ids") = activations;
  m.attr("loss_ids") = losses;
  m.attr("optimizer_ids") = optimizers;
  m.attr("needs_z") = needs_z;
  bind<float>(m);
  bind<double>(m);
  m.def("philox_words", [](const Out<std::uint32_t>& out, std::size_t first, std::uint32_t layer,
                           std::uint32_t step, std::uint32_t stream, std::uint64_t seed) {
    philox_words(out.data(), first, out.size(), layer, step, stream, seed);
  });
  m.def("permutation", [](const Out<std::int64_t>& out, std::uint32_t step, std::uint32_t stream,
                          std::uint64_t seed) {
    nb::gil_scoped_release release;
    permutation(out.data(), out.size(), step, stream, seed);
  });
}

}  // namespace pellucid::PELLUCID_LEVEL
