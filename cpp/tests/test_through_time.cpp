// The stages recurrent, gru and lstm beside their naive twin.
#include "slices.hpp"
#include "stages/through_time_naive.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {
namespace {

struct Trying {
  NaiveThroughTime net;
  bool channels_first = false, lengths = false;
  int width = 16, count = 16;
};

template <class T>
struct Made {
  std::vector<T> W, b;
  std::unique_ptr<Stage<T>> stage;
};

template <class T>
Made<T> made(NaiveThroughTime& net, bool channels_first) {
  Made<T> all{draws<T>(net.size_of_W(), 1, 1.5 / std::sqrt(double(net.n + net.n_x))),
              draws<T>(net.size_of_b(), 2), nullptr};
  net.W.assign(all.W.begin(), all.W.end());
  net.b.assign(all.b.begin(), all.b.end());
  StageSpec<T> spec;
  spec.kind = net.kind;
  spec.in = {1, net.steps, net.n_x, true, channels_first};
  spec.out = {1, net.sequences ? net.steps : 1, net.n, net.sequences, false};
  spec.activation = net.kind == "recurrent" ? net.activation : int(ID_Identity);
  spec.parameter = T(net.parameter);
  spec.needs_Z = net.kind == "recurrent" && ACTIVATION_NAMES[net.activation].needs_Z;
  spec.numbers = {{"sequences", net.sequences}, {"backwards", net.backwards}};
  if (net.kind == "gru") spec.numbers["reset_after"] = net.after;
  Parameter<T> W, b;
  W.values = all.W.data();
  W.size = all.W.size();
  b.values = all.b.data();
  b.size = all.b.size();
  spec.parameters = {W, b};
  all.stage = make_stage(spec);
  return all;
}

// Examples of `net`, with zeros where an example has no step.
template <class T>
struct Data {
  std::vector<T> X, dA;
  std::vector<std::int32_t> lengths;
};

template <class T>
Data<T> data(const Trying& trying) {
  const NaiveThroughTime& net = trying.net;
  const int n_in = net.steps * net.n_x, n_out = net.n_out(), m = trying.count;
  Data<T> all{draws<T>(size_t(m) * n_in, 3), draws<T>(size_t(m) * n_out, 4), {}};
  for (int e = 0; e < trying.width; ++e)
    all.lengths.push_back(!trying.lengths ? net.steps : e < m ? 1 + e * 7 % net.steps : 1);
  for (int e = 0; e < m; ++e)
    for (int t = all.lengths[size_t(e)]; t < net.steps; ++t) {
      for (int k = 0; k < net.n_x; ++k) all.X[size_t(e) * n_in + t * net.n_x + k] = 0;
      for (int k = 0; net.sequences && k < net.n; ++k)
        all.dA[size_t(e) * n_out + t * net.n + k] = 0;
    }
  return all;
}

// What the naive twin makes of them.
template <class T>
Trial<T> wanted(const Trying& trying, const Data<T>& all) {
  const NaiveThroughTime& net = trying.net;
  std::vector<double> X(all.X.begin(), all.X.end()), dA(all.dA.begin(), all.dA.end());
  std::vector<double> A(dA.size()), dX(X.size()), dW(net.size_of_W()), db(net.size_of_b());
  std::vector<NaiveThroughTime::Step> steps;
  for (int e = 0; e < trying.count; ++e) {
    const size_t in = size_t(e) * net.steps * net.n_x, out = size_t(e) * net.n_out();
    net.forward(&X[in], all.lengths[size_t(e)], &A[out], steps);
    net.backward(steps, all.lengths[size_t(e)], &dA[out], &dX[in], dW.data(), db.data());
  }
  const auto as_T = [](const std::vector<double>& v) { return std::vector<T>(v.begin(), v.end()); };
  return {as_T(A), as_T(dX), {as_T(dW), as_T(db)}};
}

template <class T>
Pass pass_of(const Trying& trying, const Data<T>& all) {
  Pass pass;
  pass.width = trying.width;
  pass.count = trying.count;
  pass.lengths = trying.lengths ? all.lengths.data() : nullptr;
  pass.training = true;
  return pass;
}

// The executor puts zeros at the steps that an example has not.
template <class T>
void clear(const Trying& trying, const Data<T>& all, std::vector<T>& A) {
  const NaiveThroughTime& net = trying.net;
  for (int e = 0; e < trying.count && net.sequences; ++e)
    for (int t = all.lengths[size_t(e)]; t < net.steps; ++t)
      for (int k = 0; k < net.n; ++k) A[size_t(e) * net.n_out() + t * net.n + k] = 0;
}

template <class T>
double largest(const std::vector<T>& v) {
  double most = 1;
  for (T each : v) most = std::max(most, std::abs(double(each)));
  return most;
}

template <class T>
void compare(Trying trying) {
  const NaiveThroughTime& net = trying.net;
  const Made<T> it = made<T>(trying.net, trying.channels_first);
  const Data<T> all = data<T>(trying);
  Trial<T> got = try_stage(*it.stage, pass_of(trying, all), all.X, all.dA);
  clear(trying, all, got.A);
  const Trial<T> right = wanted(trying, all);
  const double near = sizeof(T) == 4 ? 4e-6 : 1e-14;
  const auto check = [&](const char* what, const std::vector<T>& a, const std::vector<T>& b) {
    const double d = apart(a, b) / largest(b);
    CHECK(d <= near * net.steps,
          "%s of %s: %g apart; n %d, n_x %d, steps %d, sequences %d, backwards %d, after %d, g %d, "
          "channels first %d, lengths %d, width %d, count %d, %d bytes",
          what, net.kind.c_str(), d, net.n, net.n_x, net.steps, net.sequences, net.backwards,
          net.after, net.activation, trying.channels_first, trying.lengths, trying.width,
          trying.count, int(sizeof(T)));
  };
  check("A", got.A, right.A);
  check("dA_prev", got.dA_prev, right.dA_prev);
  check("dW", got.gradients[0], right.gradients[0]);
  check("db", got.gradients[1], right.gradients[1]);
}

// Gradients are added where asked, and the same without dA_prev.
template <class T>
void compare_added(Trying trying) {
  const Made<T> it = made<T>(trying.net, trying.channels_first);
  const Data<T> all = data<T>(trying);
  const Pass pass = pass_of(trying, all);
  const Trial<T> once = try_stage(*it.stage, pass, all.X, all.dA);
  Stage<T>& stage = *it.stage;
  const int w = trying.width;
  Buffer<T> X(size_t(stage.in().n()) * w), A(size_t(stage.out().n()) * w), dA(A.size()),
      kept(stage.kept(w)), scratch(stage.scratch(w));
  std::vector<std::vector<T>> sums;
  for (const auto& each : once.gradients) sums.emplace_back(each.size(), T(0));
  T* to[] = {sums[0].data(), sums[1].data()};
  for (int round = 0; round < 2; ++round) {
    into_slice(stage.in(), all.X, pass.count, w, X.get());
    into_slice(stage.out(), all.dA, pass.count, w, dA.get());
    stage.forward(pass, X.get(), A.get(), kept.get(), scratch.get());
    stage.backward(pass, X.get(), A.get(), dA.get(), nullptr, kept.get(), scratch.get(), to,
                   round == 1);
    if (round == 0)
      CHECK(sums == once.gradients, "gradients of %s without dA_prev", trying.net.kind.c_str());
  }
  for (int which = 0; which < 2; ++which) {
    std::vector<T> twice = once.gradients[which];
    for (T& each : twice) each *= 2;
    CHECK(apart(sums[which], twice) <= (sizeof(T) == 4 ? 1e-5 : 1e-13) * largest(twice),
          "twice gradient %d of %s", which, trying.net.kind.c_str());
  }
}

// An example's numbers don't depend on the width of its slice, nor on who else is in it.
template <class T>
void compare_bits(Trying trying) {
  trying.width = trying.count = 32;
  const Made<T> it = made<T>(trying.net, trying.channels_first);
  const Data<T> all = data<T>(trying);
  const Trial<T> wide = try_stage(*it.stage, pass_of(trying, all), all.X, all.dA);
  const size_t n_in = wide.dA_prev.size() / 32, n_out = wide.A.size() / 32;
  trying.width = 16;
  trying.count = 13;
  const int first = 9;
  Data<T> some;
  some.X.assign(all.X.begin() + first * n_in, all.X.begin() + (first + 13) * n_in);
  some.dA.assign(all.dA.begin() + first * n_out, all.dA.begin() + (first + 13) * n_out);
  some.lengths.assign(all.lengths.begin() + first, all.lengths.begin() + first + 16);
  const Trial<T> narrow = try_stage(*it.stage, pass_of(trying, some), some.X, some.dA);
  const auto same = [&](const std::vector<T>& a, const std::vector<T>& b, size_t n) {
    return std::equal(b.begin(), b.end(), a.begin() + first * n);
  };
  CHECK(same(wide.A, narrow.A, n_out), "bits of A of %s", trying.net.kind.c_str());
  CHECK(same(wide.dA_prev, narrow.dA_prev, n_in), "bits of dA_prev of %s", trying.net.kind.c_str());
}

template <class T>
void try_all(const NaiveThroughTime& kind) {
  const int shapes[][3] = {{1, 1, 1}, {3, 2, 5}, {16, 16, 3}, {19, 7, 4}, {40, 33, 3}, {70, 5, 2}};
  const int slices[][2] = {{16, 16}, {16, 5}, {32, 32}, {32, 27}};
  int number = 0;
  for (const auto& [n, n_x, steps] : shapes)
    for (const auto& [width, count] : slices)
      for (int options = 0; options < 8; ++options) {
        Trying trying{kind, ++number % 3 == 0, bool(options & 4), width, count};
        trying.net.n = n;
        trying.net.n_x = n_x;
        trying.net.steps = steps;
        trying.net.sequences = options & 1;
        trying.net.backwards = options & 2;
        compare<T>(trying);
        if (width != 16 || count != 16) continue;
        compare_added<T>(trying);
        compare_bits<T>(trying);
      }
}

template <class T>
void try_kinds() {
  NaiveThroughTime kind;
  kind.kind = "lstm";
  try_all<T>(kind);
  kind.kind = "gru";
  try_all<T>(kind);
  kind.after = true;
  try_all<T>(kind);
  kind.after = false;
  kind.kind = "recurrent";
  for (int g : {ID_Tanh, ID_ELU, ID_GELU, ID_Identity}) {
    kind.activation = g;
    kind.parameter = g == ID_ELU ? 0.5 : 0;
    try_all<T>(kind);
  }
}

}  // namespace
}  // namespace pellucid::PELLUCID_LEVEL::stages

int main() {
  pellucid::PELLUCID_LEVEL::stages::try_kinds<float>();
  pellucid::PELLUCID_LEVEL::stages::try_kinds<double>();
  return pellucid::failures();
}
