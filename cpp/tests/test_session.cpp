// A whole training, for the sanitizers: the same bits for any number of threads, from dense, sparse
// and weighted examples, with dropout, clipping, mini-batches larger than a pass, gradients that
// are summed in parts, and steps from gradients that were handed over.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"
#include "session.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;

constexpr int INPUTS = 70, OUTPUTS = 3, EXAMPLES = 150;
enum { RELU = 3, SOFTMAX = 14, CROSS_ENTROPY = 1 };

struct Case {
  int batch = 16;
  bool sparse = false, weighted = false;
  double dropout = 0, clip_norm = -1;
  int hidden = 300;
  bool tuned = false;  // else all threads take part in every step
  int epochs = 3;
  std::vector<double> speeds{};  // of the threads, by which the work is shared
  bool handed = false;           // a step is gradients() and apply(), or skip()
  bool thin = false;             // most of X is 0
  bool at_once = false;          // all epochs are one call
};

// What a training leaves: every parameter, the costs, the outputs.
template <class T>
std::vector<T> train(const Case& c, int threads) {
  const size_t hidden = size_t(c.hidden);
  std::vector<T> W1(INPUTS * hidden), b1(hidden), W2(hidden * OUTPUTS), b2(OUTPUTS);
  for (size_t k = 0; k < W1.size(); ++k) W1[k] = T(std::sin(double(k))) / 6;
  for (size_t k = 0; k < W2.size(); ++k) W2[k] = T(std::cos(double(k))) / 17;
  std::vector<std::vector<T>> memory;
  for (const auto* array : {&W1, &b1, &W2, &b2})
    for (int k = 0; k < 2; ++k) memory.emplace_back(array->size());

  SessionSpec<T> spec;
  StageSpec first{true, INPUTS, c.hidden, 1, RELU, 0, false, c.dropout, 1, 1, 1};
  StageSpec last{true, c.hidden, OUTPUTS, 2, SOFTMAX, 0, false, 0, 1, 1, 1};
  spec.stages = {first, last};
  auto lecture = [&](std::vector<T>& values, size_t at) {
    return Lecture<T>{values.data(), {memory[at].data(), memory[at + 1].data()}};
  };
  spec.W = {lecture(W1, 0), lecture(W2, 4)};
  spec.b = {lecture(b1, 2), lecture(b2, 6)};
  spec.loss.id = CROSS_ENTROPY;
  spec.loss.output_activation = SOFTMAX;
  spec.loss.fused = true;
  spec.l2 = 1e-3;
  spec.clip_norm = c.clip_norm;
  spec.batch_size = c.batch;
  spec.threads = threads;
  spec.tuned = c.tuned;
  spec.speeds = c.speeds;
  spec.speeds.resize(size_t(threads), 1.0);
  spec.seed = 7;

  std::vector<T> x(size_t(EXAMPLES) * INPUTS);
  std::vector<T> values;
  std::vector<std::int32_t> inputs;
  std::vector<std::int64_t> starts(EXAMPLES + 1);
  std::vector<std::int64_t> labels(EXAMPLES), order(EXAMPLES);
  std::vector<double> weights(EXAMPLES), rates(200, 0.01), costs(200);
  for (size_t k = 0; k < x.size(); ++k) {
    x[k] = c.thin && k % 13 ? T(0) : T(std::sin(0.7 * double(k)));
    if (c.sparse && (!c.thin || k % 13 == 0)) {
      values.push_back(x[k]);
      inputs.push_back(std::int32_t(k % INPUTS));
    }
    starts[k / INPUTS + 1] = std::int64_t(values.size());
  }
  for (int e = 0; e < EXAMPLES; ++e) {
    labels[e] = e % OUTPUTS;
    order[e] = (e * 7) % EXAMPLES;
    weights[e] = e % 5;
  }
  const auto weight = [&](int first, int count) {
    double sum = 0;
    for (int k = first; k < first + count; ++k) sum += weights[size_t(order[size_t(k)])];
    return sum;
  };
  Rows rows;
  rows.kind = sizeof(T) == 4 ? Rows::F32 : Rows::F64;
  rows.values = c.sparse ? values.data() : x.data();
  rows.example_stride = INPUTS;
  rows.sparse = c.sparse;
  rows.inputs = inputs.data();
  rows.starts = starts.data();
  rows.examples = EXAMPLES;
  Targets<T> targets;
  targets.labels = labels.data();

  Session<T> session(spec);
  const double* w = c.weighted ? weights.data() : nullptr;
  const int steps = (EXAMPLES + c.batch - 1) / c.batch;
  std::vector<T> found;
  std::vector<T> out(size_t(EXAMPLES) * OUTPUTS), dW1(W1.size()), db1(hidden), dW2(W2.size()),
      db2(OUTPUTS);
  T* dW[] = {dW1.data(), dW2.data()};
  T* db[] = {db1.data(), db2.data()};
  const auto gradients = [&](int first, int count, std::int64_t position) {
    return session.gradients(rows, targets, order.data() + first, count, w, position, -1, dW, db);
  };
  if (c.at_once) {
    std::vector<std::int64_t> orders;
    for (int epoch = 0; epoch < c.epochs; ++epoch)
      orders.insert(orders.end(), order.begin(), order.end());
    const int all = c.epochs * steps;
    rates.resize(size_t(all), 0.01);
    costs.resize(size_t(all));
    const int done = session.run(rows, targets, orders.data(), EXAMPLES, 0, all, rates.data(), w,
                                 costs.data(), nullptr, nullptr);
    CHECK(done == all, "%d of %d steps", done, all);
    CHECK(!session.same(), "the last epoch was written");
    for (const double cost : costs)
      if (!std::isnan(cost)) found.push_back(T(cost));
  }
  for (int epoch = 0; !c.at_once && epoch < c.epochs; ++epoch) {
    int done = 0;
    for (; c.handed && done < steps; ++done) {
      const int first = done * c.batch, count = std::min(EXAMPLES - first, c.batch);
      if (c.weighted && weight(first, count) == 0) {
        costs[done] = std::nan("");
        session.skip();
        continue;
      }
      costs[done] = gradients(first, count, 0);
      session.apply(dW, db, rates[done]);
    }
    if (!c.handed)
      done = session.run(rows, targets, order.data(), EXAMPLES, 0, steps, rates.data(), w,
                         costs.data(), nullptr, nullptr);
    CHECK(done == steps, "%d of %d steps", done, steps);
    for (int k = 0; k < done; ++k)
      if (!std::isnan(costs[k])) found.push_back(T(costs[k]));
  }
  std::vector<double> losses(EXAMPLES);
  session.evaluate(rows, targets, order.data(), EXAMPLES, w, out.data(), losses.data());
  found.push_back(T(gradients(0, EXAMPLES, -1)));
  session.write();
  session.write_memory();
  CHECK(session.finite() && session.same(), "other parameters than were written");
  b1.back() += 1;
  CHECK(!session.same(), "a bias that was changed is not noticed");
  b1.back() -= 1;
  for (const auto* array : {&W1, &b1, &W2, &b2, &out, &dW1, &db1, &dW2, &db2})
    found.insert(found.end(), array->begin(), array->end());
  return found;
}

template <class T>
void test_threads(const char* name, const Case& c) {
  const std::vector<T> one = train<T>(c, 1);
  CHECK(one.front() > 1 && one.front() < 1.3, "%s: J = %g at the start", name, double(one.front()));
  for (const T each : one) CHECK(std::isfinite(each), "%s: not finite", name);
  for (const int threads : {2, 3, 4}) {
    const std::vector<T> several = train<T>(c, threads);
    CHECK(several == one, "%s: other bits with %d threads", name, threads);
  }
}

template <class T>
void test_all() {
  test_threads<T>("plain", {});
  test_threads<T>("weighted, dropout", {16, false, true, 0.3, -1});
  test_threads<T>("clipped", {33, false, false, 0, 0.05});
  test_threads<T>("larger than a pass", {1500, false, true, 0.1, -1});
  test_threads<T>("small, in parts", {145, false, true, 0.3, -1, 40});
  test_threads<T>("tuned", {16, false, true, 0, -1, 300, true, 20});
  // Panels that take so long that idle threads take them over.
  test_threads<T>("taken over", {1000, false, true, 0.3, -1});
  test_threads<T>("taken over, larger than a pass", {1700, false, true, 0.3, -1});
  test_threads<T>("taken over, tuned", {1000, false, false, 0, -1, 300, true, 40});
  // By panels: whole ones, rows of some, and (in float64) the few of a layer below.
  for (const int hidden : {300, 140, 80})
    test_threads<T>("uneven", {16, false, true, 0.3, -1, hidden, false, 3, {1, 0.4, 0.8, 0.3}});
  const Case sparse{16, true, false, 0, -1};
  CHECK(train<T>(sparse, 2) == train<T>({}, 1), "sparse examples give other bits");
  for (Case thin : {Case{16, false, true, 0.3, -1}, Case{33, false, false, 0, 0.05},
                    Case{1500, false, true, 0.1, -1}, Case{145, false, true, 0.3, -1, 40},
                    Case{16, false, false, 0, -1, 300, true}, Case{1000, false, true, 0, -1},
                    Case{16, false, true, 0, -1, 80, false, 3, {1, 0.4, 0.8, 0.3}}}) {
    thin.thin = true;
    const std::vector<T> dense = train<T>(thin, 1);
    thin.sparse = true;
    for (const int threads : {1, 2, 3, 8})
      CHECK(train<T>(thin, threads) == dense, "sparse examples, other bits with %d threads",
            threads);
  }
  for (Case whole :
       {Case{16, false, true, 0.3, -1}, Case{33, false, false, 0.3, 0.05},
        Case{1500, false, true, 0.1, -1}, Case{1, false, true, 0.3, -1}}) {  // some without weight
    Case handed = whole;
    handed.handed = true;
    for (const int threads : {1, 3})
      CHECK(train<T>(handed, threads) == train<T>(whole, 1),
            "a step from gradients has other bits with %d threads", threads);
    Case at_once = whole;
    at_once.at_once = true;
    for (const int threads : {1, 3})
      CHECK(train<T>(at_once, threads) == train<T>(whole, 1),
            "epochs in one call have other bits with %d threads", threads);
  }
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  return pellucid::failures();
}
