// Where the time of a step goes: phases LAYERS BATCH ROWS THREADS SECONDS, say
// phases 784-100-10 32 20480 4 0.25. Prints JSON: microseconds of a step, and of each phase on the
// mean thread. Adam, ReLU, softmax, float32; every thread takes part in every step.
// benchmarks/phases.py builds it and makes the table.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "../cpp/session.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;
using pellucid::Phase;
using pellucid::phases_of_thread;

constexpr const char* NAMES[] = {"other",    "gather", "forward", "loss",
                                 "backward", "dW",     "update",  "wait"};

std::vector<int> sizes_of(const std::string& layers) {
  std::vector<int> sizes;
  std::stringstream words(layers);
  for (std::string word; std::getline(words, word, '-');) sizes.push_back(std::stoi(word));
  return sizes;
}

struct Training {
  std::mt19937 random{1};
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> arrays;
  std::vector<float> X;
  std::vector<std::int64_t> labels, order;
  SessionSpec<float> spec;

  Lecture<float> array(size_t n, float deviation) {
    for (int k = 0; k < 3; ++k) arrays.emplace_back(n);
    auto* own = &arrays[arrays.size() - 3];
    for (float& w : own[0]) w = deviation * normal(random);
    return {own[0].data(), {own[1].data(), own[2].data()}};
  }

  Training(const std::vector<int>& sizes, int batch, int rows, int threads) {
    const int layers = int(sizes.size()) - 1;
    arrays.reserve(size_t(layers) * 6);
    for (int l = 1; l <= layers; ++l) {
      StageSpec stage;
      stage.n_in = sizes[l - 1];
      stage.n_out = sizes[l];
      stage.number = l;
      stage.activation = l == layers ? ID_Softmax : ID_ReLU;
      spec.stages.push_back(stage);
      spec.W.push_back(array(size_t(stage.n_in) * stage.n_out, std::sqrt(2.0f / stage.n_in)));
      spec.b.push_back(array(size_t(stage.n_out), 0));
    }
    spec.loss.id = ID_CategoricalCrossEntropy;
    spec.loss.output_activation = ID_Softmax;
    spec.loss.fused = true;
    spec.batch_size = batch;
    spec.threads = threads;
    spec.tuned = false;
    X.resize(size_t(rows) * sizes[0]);
    for (float& x : X) x = normal(random);
    for (int k = 0; k < rows; ++k) labels.push_back(std::int64_t(random() % sizes.back()));
    order.resize(size_t(rows));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: phases LAYERS BATCH ROWS THREADS SECONDS\n");
    return 2;
  }
  const std::vector<int> sizes = sizes_of(argv[1]);
  const int batch = std::atoi(argv[2]), rows = std::atoi(argv[3]), threads = std::atoi(argv[4]);
  if (threads < 1 || threads > int(std::size(phases_of_thread)) || batch < 1 || rows < batch) {
    std::fprintf(stderr, "phases: 1 to 64 THREADS, and at least BATCH ROWS\n");
    return 2;
  }
  Training training(sizes, batch, rows, threads);
  Rows X;
  X.values = training.X.data();
  X.example_stride = sizes[0];
  Targets<float> Y;
  Y.labels = training.labels.data();
  const int steps = rows / batch;
  std::vector<double> rates(size_t(steps), 1e-3), costs(rates);

  Session<float> session(training.spec);
  const auto seconds_of_epochs = [&](double at_least, long* epochs) {
    using clock = std::chrono::steady_clock;
    const auto begin = clock::now();
    double seconds = 0;
    for (auto& thread : phases_of_thread) thread = {begin, {}};
    for (*epochs = 0; seconds < at_least; ++*epochs) {
      session.run(X, Y, training.order.data(), rows, 0, steps, rates.data(), nullptr, costs.data(),
                  nullptr, nullptr);
      seconds = std::chrono::duration<double>(clock::now() - begin).count();
    }
    return seconds;
  };
  long epochs = 0;
  seconds_of_epochs(0.05, &epochs);
  const double seconds = seconds_of_epochs(std::atof(argv[5]), &epochs);
  const double done = double(epochs) * steps;
  std::printf("{\"step\": %.4f", 1e6 * seconds / done);
  for (int p = 0; p < int(Phase::COUNT); ++p) {
    double sum = 0;
    for (int t = 0; t < threads; ++t) sum += phases_of_thread[t].seconds[p];
    std::printf(", \"%s\": %.4f", NAMES[p], 1e6 * sum / threads / done);
  }
  std::printf("}\n");
}
