// Dense, Embedding, LayerNorm, BatchNorm, Scale and Dropout beside their twins.
#include "twins.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;
using namespace pellucid::PELLUCID_LEVEL::stages;

naive::Given given_of(const Shape& in, const Shape& out, std::vector<int> sizes, int m) {
  naive::Given given;
  given.in = in;
  given.out = out;
  given.m = m;
  for (const int size : sizes) given.parameters.emplace_back(size_t(size));
  return given;
}

void test_dense(int K, int n, int places, bool masked, int activation, int m, bool first) {
  const bool each = places > 1;
  auto given = given_of({1, places, K, each, first}, {1, places, n, each, false}, {K * n, n}, m);
  given.numbers["each_step"] = each;
  given.activation = activation;
  for (int k = 0; masked && k < K * n; ++k) given.mask.push_back(k % 3 > 0);
  char what[100];
  std::snprintf(what, sizeof what, "dense %d to %d, %d places%s", K, n, places,
                masked ? ", masked" : "");
  check_both("dense", naive::dense, given, what);
}

void test_denses() {
  for (const bool masked : {false, true}) {
    test_dense(7, 5, 1, masked, ID_ReLU, 3, false);
    test_dense(70, 33, 1, masked, ID_SiLU, 16, false);
    test_dense(1, 1, 1, masked, ID_Identity, 1, false);
    test_dense(3, 18, 5, masked, ID_Tanh, 9, false);
    test_dense(20, 6, 40, masked, ID_ReLU, 13, true);  // more places than are transposed at once
  }
  for (const bool first : {false, true}) {  // all of a volume
    auto given = given_of({3, 4, 5, false, first}, {1, 1, 9, false, false}, {60 * 9, 9}, 6);
    given.numbers["each_step"] = 0;
    check_both("dense", naive::dense, given, "dense of a volume");
  }
}

void test_embedding(int words, int steps, int n, int padding, int m) {
  auto given = given_of({1, 1, steps, false, false}, {1, steps, n, true, false}, {words * n}, m);
  given.numbers["padding"] = padding;
  for (int k = 0; k < m * steps; ++k) given.A_prev.push_back(k * k % 11 % words);
  check_both("embedding", naive::embedding, given, "embedding");
}

void test_norms(const Shape& in, int m, const std::vector<int>& lengths) {
  const int n = in.channels;
  auto given = given_of(in, in, {n, n}, m);
  given.numbers = {{"epsilon", 1e-3}, {"momentum", 0.9}};
  if (lengths.empty() && n > 1) check_both("layernorm", naive::layernorm, given, "layernorm");
  given.lengths = lengths;
  check_both("batchnorm", naive::batchnorm, given, "batchnorm");
  if (lengths.empty()) check_both("scale", naive::scale, given_of(in, in, {in.n()}, m), "scale");
}

// The statistics of prediction; and how those of a mini-batch in two slices enter them.
template <class T>
void test_statistics() {
  std::vector<T> gamma{2, 3}, beta{1, -1}, mean{T(0.5), 0}, variance{4, 1};
  StageSpec<T> spec;
  spec.kind = "batchnorm";
  spec.in = spec.out = {1, 1, 2, false, false};
  spec.numbers = {{"epsilon", 0}, {"momentum", 0.75}};
  spec.parameters.resize(2);
  spec.parameters[0].values = gamma.data();
  spec.parameters[1].values = beta.data();
  spec.parameters[0].size = spec.parameters[1].size = 2;
  spec.statistics = {mean.data(), variance.data()};
  const auto stage = make_stage<T>(spec);
  Pass pass;
  pass.count = 2;
  Trial<T> trial = try_stage<T>(*stage, pass, {T(4.5), 2, T(-3.5), 1}, {1, 1, 1, 1});
  CHECK(apart<T>(trial.A, {5, 5, -3, 2}) < 1e-6);
  CHECK(apart<T>(trial.dA_prev, {1, 3, 1, 3}) < 1e-6);
  // 1, 3 | 5: mean 3, variance 8/3, unbiased 4; and 2, 2 | 5: mean 3, variance 2, unbiased 3.
  double sums[12];
  Buffer<T> slice(2 * 16);
  into_slice<T>(spec.in, {1, 2, 3, 2}, 2, 16, slice.get());
  pass.training = true;
  stage->sum_forward(pass, slice.get(), sums);
  into_slice<T>(spec.in, {5, 5}, 1, 16, slice.get());
  pass.count = 1;
  stage->sum_forward(pass, slice.get(), sums + stage->sums());
  stage->settle_forward(sums, 2);
  stage->learn_statistics();
  CHECK(apart<T>(mean, {T(1.125), T(0.75)}) < 1e-6);
  CHECK(apart<T>(variance, {4, T(1.5)}) < 1e-6);
}

// The mask stands in what leaves of ones: 0 or 1 / (1 - rate), as often, the same for an example
// wherever it is; and what returns is multiplied by it.
template <class T>
void test_dropout() {
  StageSpec<T> spec;
  spec.kind = "dropout";
  spec.in = spec.out = {10, 10, 3, false, true};
  spec.dropout = 0.25;
  spec.number = 2;
  const auto stage = make_stage<T>(spec);
  const int n = spec.in.n(), m = 12;
  const std::vector<T> ones(size_t(m) * n, T(1)), dA = draws<T>(ones.size(), 5);
  Pass pass;
  pass.count = m;
  pass.training = pass.drop = true;
  pass.first = 16;
  pass.step = 3;
  pass.seed = 9;
  const Trial<T> plain = try_stage<T>(*stage, pass, ones, dA);
  int dropped = 0;
  for (size_t k = 0; k < ones.size(); ++k) {
    dropped += plain.A[k] == 0;
    CHECK(plain.A[k] == 0 || std::abs(double(plain.A[k]) - 4.0 / 3) < 1e-6);
    CHECK(plain.dA_prev[k] == dA[k] * plain.A[k]);
  }
  CHECK(dropped > 800 && dropped < 1000, "%d of 3600", dropped);
  pass.width = 32;
  CHECK(try_stage<T>(*stage, pass, ones, dA).A == plain.A, "other draws in a wider slice");
  pass.first = 17;
  const Trial<T> next = try_stage<T>(*stage, pass, ones, dA);
  CHECK(std::equal(next.A.begin(), next.A.end() - n, plain.A.begin() + n),
        "an example's draws depend on its slice");
  pass.step = 4;
  CHECK(try_stage<T>(*stage, pass, ones, dA).A != next.A, "the same draws at the next step");
  pass.drop = false;
  CHECK(try_stage<T>(*stage, pass, ones, dA).A == ones, "dropped where nothing is to be");
}

}  // namespace

int main() {
  test_denses();
  test_embedding(7, 5, 3, -1, 6);
  test_embedding(9, 4, 21, 2, 16);
  for (const bool first : {false, true}) {
    test_norms({3, 4, 5, false, first}, 7, {});
    test_norms({1, 1, 18, false, first}, 16, {});
    test_norms({1, 6, 3, true, first}, 5, {6, 2, 0, 5, 1});
  }
  test_statistics<float>();
  test_statistics<double>();
  test_dropout<float>();
  test_dropout<double>();
  return pellucid::failures();
}
