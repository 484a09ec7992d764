// A whole training of networks of many kinds of stages, for the sanitizers: the same bits for any
// number of threads, with mini-batches smaller and larger than a slice, weights, lengths, clipping,
// dropout, and steps from gradients that were handed over.
#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "check.hpp"
#include "network.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;
using stages::Shape;

constexpr int CLASSES = 3, EXAMPLES = 75;
enum { SOFTMAX = 14, CROSS_ENTROPY = 1 };

enum Examples { DENSE, BYTES, SPARSE };

struct Case {
  bool sequence = false;  // else a picture
  int batch = 16;
  bool weighted = false;
  double dropout = 0, clip_norm = -1;
  Examples examples = DENSE;
  bool handed = false;  // a step is gradients() and apply(), or skip()
  bool tuned = false;
  double momentum = 0.9;  // 1: gradients() alone leaves BatchNorm's statistics as they are
};

// The layers' arrays, which a session reads and writes.
template <class T>
struct Network {
  NetworkSpec<T> spec;
  std::deque<std::vector<T>> arrays;
  std::vector<std::vector<T>*> parameters;

  T* array(size_t n, double amplitude, double start = 0) {
    arrays.emplace_back(n);
    for (size_t k = 0; k < n; ++k)
      arrays.back()[k] = T(start + amplitude * std::sin(double(k * 13 + arrays.size())));
    return arrays.back().data();
  }

  stages::StageSpec<T>& add(const char* kind, std::vector<int> inputs, Shape in, Shape out,
                            std::map<std::string, double> numbers = {}) {
    spec.stages.emplace_back();
    auto& stage = spec.stages.back();
    stage.kind = kind;
    stage.inputs = inputs;
    stage.in = in;
    stage.others.assign(inputs.size() - 1, in);
    stage.out = out;
    stage.number = int(spec.stages.size());
    stage.numbers = numbers;
    return stage;
  }

  void learn(stages::StageSpec<T>& stage, size_t size, double amplitude, double start = 0) {
    stages::Parameter<T> parameter;
    parameter.values = array(size, amplitude, start);
    parameters.push_back(&arrays.back());
    parameter.size = size;
    parameter.decay = amplitude > 0;
    for (T*& slot : parameter.slots) slot = array(size, 0);
    stage.parameters.push_back(parameter);
  }
};

// conv -> batchnorm -> (conv, added to what entered it) -> pool -> dropout -> dense
template <class T>
void picture(Network<T>& net, const Case& c) {
  const Shape in{6, 6, 2}, six{6, 6, 5}, half{3, 3, 5};
  const std::map<std::string, double> window{
      {"size_rows", 3},    {"size_columns", 3},    {"stride_rows", 1},    {"stride_columns", 1},
      {"padding_rows", 1}, {"padding_columns", 1}, {"padding_behind", 1}, {"groups", 1}};
  auto& first = net.add("convolution", {-1}, in, six, window);
  net.learn(first, 9 * 2 * 5, 0.4);
  net.learn(first, 5, 0);
  auto& norm = net.add("batchnorm", {0}, six, six, {{"epsilon", 1e-5}, {"momentum", c.momentum}});
  net.learn(norm, 5, 0, 1);
  net.learn(norm, 5, 0);
  norm.statistics = {net.array(5, 0), net.array(5, 0, 1)};
  auto& second = net.add("convolution", {1}, six, six, window);
  second.activation = ID_Tanh;
  net.learn(second, 9 * 5 * 5, 0.2);
  net.learn(second, 5, 0);
  net.add("add", {1, 2}, six, six);
  net.add("pool", {3}, six, half,
          {{"size_rows", 2},
           {"size_columns", 2},
           {"stride_rows", 2},
           {"stride_columns", 2},
           {"padding_rows", 0},
           {"padding_columns", 0},
           {"max", 1}});
  net.add("dropout", {4}, half, half).dropout = c.dropout;
  auto& last = net.add("dense", {5}, half, {1, 1, CLASSES}, {{"each_step", 0}});
  net.learn(last, size_t(half.n()) * CLASSES, 0.1);
  net.learn(last, CLASSES, 0);
}

// conv1d -> lstm of sequences -> gru -> dense, of sequences of different lengths
template <class T>
void sequence(Network<T>& net, const Case&) {
  const Shape in{1, 8, 9, true}, eight{1, 8, 5, true}, states{1, 8, 6, true}, end{1, 1, 7};
  auto& first = net.add("convolution", {-1}, in, eight,
                        {{"size_rows", 1},
                         {"size_columns", 3},
                         {"stride_rows", 1},
                         {"stride_columns", 1},
                         {"padding_rows", 0},
                         {"padding_columns", 2},
                         {"padding_behind", 0},
                         {"groups", 1}});
  first.activation = ID_Tanh;
  net.learn(first, 3 * 9 * 5, 0.4);
  net.learn(first, 5, 0);
  auto& lstm = net.add("lstm", {0}, eight, states, {{"sequences", 1}, {"backwards", 0}});
  net.learn(lstm, 4 * 6 * 11, 0.4);
  net.learn(lstm, 4 * 6, 0);
  auto& gru =
      net.add("gru", {1}, states, end, {{"sequences", 0}, {"backwards", 1}, {"reset_after", 1}});
  net.learn(gru, 3 * 7 * 13, 0.4);
  net.learn(gru, 4 * 7, 0);
  auto& last = net.add("dense", {2}, end, {1, 1, CLASSES}, {{"each_step", 0}});
  net.learn(last, 7 * CLASSES, 0.1);
  net.learn(last, CLASSES, 0);
}

// Whole numbers of 0 to 5, so that bytes hold them too.
template <class T>
struct Data {
  static constexpr int N = 72;  // numbers of an example, of both networks
  std::vector<T> x;
  std::vector<std::uint8_t> bytes;
  std::vector<std::int32_t> inputs;
  std::vector<std::int64_t> starts{0};
  std::vector<T> nonzeros;
  std::vector<std::int64_t> labels, order, lengths;
  std::vector<double> weights;
  Rows rows;
  Targets<T> targets;

  explicit Data(const Case& c) {
    for (int e = 0; e < EXAMPLES; ++e) {
      lengths.push_back(e * 5 % 8 + 1);
      labels.push_back(e % CLASSES);
      order.push_back(e * 7 % EXAMPLES);
      weights.push_back(e % 5);
      for (int k = 0; k < N; ++k) {
        const bool there = !c.sequence || k / 9 < lengths.back();
        const int value = there ? std::max(0, (e * 31 + k * 17 + k * k) % 11 - 5) : 0;
        x.push_back(T(value));
        bytes.push_back(std::uint8_t(value));
        if (value) inputs.push_back(k), nonzeros.push_back(T(value));
      }
      starts.push_back(std::int64_t(inputs.size()));
    }
    rows.kind = c.examples == BYTES ? Rows::U8 : sizeof(T) == 4 ? Rows::F32 : Rows::F64;
    rows.values = c.examples == BYTES    ? static_cast<const void*>(bytes.data())
                  : c.examples == SPARSE ? nonzeros.data()
                                         : x.data();
    rows.example_stride = N;
    rows.sparse = c.examples == SPARSE;
    rows.inputs = inputs.data();
    rows.starts = starts.data();
    rows.examples = EXAMPLES;
    if (c.sequence) rows.lengths = lengths.data();
    targets.labels = labels.data();
  }
};

// Steps from gradients that are handed over; those without weight are skipped.
template <class T>
int hand_over(NetworkSession<T>& session, const Case& c, const Data<T>& data, const double* weights,
              std::vector<double>& costs, const std::vector<T*>& d) {
  int done = 0;
  for (int first = 0; first < EXAMPLES; first += c.batch, ++done) {
    const int count = std::min(EXAMPLES - first, c.batch);
    double weight = weights ? 0 : count;
    for (int k = first; weights && k < first + count; ++k)
      weight += weights[size_t(data.order[size_t(k)])];
    costs[size_t(done)] = NAN;
    if (weight == 0) {
      session.skip();
      continue;
    }
    costs[size_t(done)] = session.gradients(data.rows, data.targets, data.order.data() + first,
                                            count, weights, 0, -1, d.data());
    session.apply(std::vector<const T*>(d.begin(), d.end()).data(), 0.01);
  }
  return done;
}

// What a training leaves: the costs, the outputs, the gradients, and every array.
template <class T>
std::vector<T> train(const Case& c, int threads) {
  Network<T> net;
  c.sequence ? sequence(net, c) : picture(net, c);
  NetworkSpec<T>& spec = net.spec;
  spec.flops = 1e4;
  spec.loss.id = CROSS_ENTROPY;
  spec.loss.output_activation = SOFTMAX;
  spec.loss.fused = true;
  spec.l2 = 1e-3;
  spec.clip_norm = c.clip_norm;
  spec.batch_size = c.batch;
  spec.threads = threads;
  spec.tuned = c.tuned;
  spec.seed = 7;
  const Data<T> data(c);
  const double* weights = c.weighted ? data.weights.data() : nullptr;
  std::vector<std::vector<T>> gradients;
  std::vector<T*> d;
  for (const auto* each : net.parameters) gradients.emplace_back(each->size());
  for (auto& each : gradients) d.push_back(each.data());

  NetworkSession<T> session(spec);
  const int steps = (EXAMPLES + c.batch - 1) / c.batch;
  std::vector<double> rates(size_t(steps), 0.01), costs(size_t(steps), 0.0), losses(EXAMPLES);
  std::vector<T> found, out(EXAMPLES * CLASSES);
  for (int epoch = 0; epoch < 2; ++epoch) {
    const int done =
        c.handed ? hand_over(session, c, data, weights, costs, d)
                 : session.run(data.rows, data.targets, data.order.data(), EXAMPLES, 0, steps,
                               rates.data(), weights, costs.data(), nullptr, nullptr);
    CHECK(done == steps, "%d of %d steps", done, steps);
    for (const double each : costs)
      if (!std::isnan(each)) found.push_back(T(each));
  }
  CHECK(session.step() == std::uint64_t(2 * steps));
  session.evaluate(data.rows, data.targets, data.order.data(), EXAMPLES, weights, out.data(),
                   losses.data());
  found.push_back(T(session.gradients(data.rows, data.targets, data.order.data(), EXAMPLES, weights,
                                      -1, -1, d.data())));
  session.write();
  session.write_memory();
  CHECK(session.finite() && session.same(), "other parameters than were written");
  net.parameters.back()->back() += 1;
  CHECK(!session.same(), "a bias that was changed is not noticed");
  net.parameters.back()->back() -= 1;
  found.insert(found.end(), out.begin(), out.end());
  for (const double each : losses) found.push_back(T(each));
  for (const auto& each : gradients) found.insert(found.end(), each.begin(), each.end());
  for (const auto& each : net.arrays) found.insert(found.end(), each.begin(), each.end());
  return found;
}

template <class T>
void test_threads(const char* name, Case c) {
  for (const bool sequence : {false, true}) {
    c.sequence = sequence;
    const std::vector<T> one = train<T>(c, 1);
    CHECK(one.front() > 0.7 && one.front() < 2, "%s: J = %g at the start", name,
          double(one.front()));
    for (const T each : one) CHECK(std::isfinite(each), "%s: not finite", name);
    for (const int threads : {2, 3})
      CHECK(train<T>(c, threads) == one, "%s%s: other bits with %d threads", name,
            sequence ? ", sequences" : "", threads);
    if (c.tuned) continue;
    Case handed = c;
    handed.handed = true;
    c.momentum = handed.momentum = 1;
    CHECK(train<T>(handed, 2) == train<T>(c, 1), "%s%s: other bits from gradients", name,
          sequence ? ", sequences" : "");
    c.momentum = 0.9;
  }
}

template <class T>
void test_all() {
  Case c;
  test_threads<T>("a slice", c);
  for (const bool is_sequence : {false, true}) {
    c.sequence = is_sequence;
    const std::vector<T> plain = train<T>(c, 1);
    for (const Examples kind : {BYTES, SPARSE}) {
      c.examples = kind;
      CHECK(train<T>(c, 2) == plain, "%s give other bits", kind == BYTES ? "bytes" : "sparse X");
    }
    c.examples = DENSE;
  }
  test_threads<T>("few, weighted", {false, 7, true, 0.3});
  test_threads<T>("one by one, some without weight", {false, 1, true});
  test_threads<T>("several slices, clipped", {false, 40, true, 0.3, 0.05});
  test_threads<T>("all at once", {false, EXAMPLES, false, 0.3});
  test_threads<T>("tuned", {false, 40, true, 0.3, 0.05, DENSE, false, true});
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  return pellucid::failures();
}
