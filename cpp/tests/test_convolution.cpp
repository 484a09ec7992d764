// Convolutions and pools beside their twins: shapes that fill no vector, strides, padding, groups.
#include "twins.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL::stages;

struct Window {
  int rows, columns, step_rows, step_columns, pad_rows, pad_columns, pad_behind;
};

std::map<std::string, double> numbers_of(const Window& w) {
  return {{"size_rows", w.rows},           {"size_columns", w.columns},
          {"stride_rows", w.step_rows},    {"stride_columns", w.step_columns},
          {"padding_rows", w.pad_rows},    {"padding_columns", w.pad_columns},
          {"padding_behind", w.pad_behind}};
}

Shape after(const Shape& in, const Window& w, int channels) {
  Shape out = in;
  out.rows = (in.rows + 2 * w.pad_rows - w.rows) / w.step_rows + 1;
  out.columns = (in.columns + w.pad_columns + w.pad_behind - w.columns) / w.step_columns + 1;
  out.channels = channels;
  out.channels_first = false;
  return out;
}

void test_convolution(const Shape& in, const Window& w, int channels, int groups, int activation,
                      int m) {
  naive::Given given;
  given.in = in;
  given.out = after(in, w, channels);
  given.numbers = numbers_of(w);
  given.numbers["groups"] = groups;
  given.parameters = {naive::Numbers(size_t(w.rows * w.columns * in.channels / groups * channels)),
                      naive::Numbers(size_t(channels))};
  given.activation = activation;
  given.m = m;
  char what[100];
  std::snprintf(what, sizeof what, "convolution %dx%dx%d, %dx%d to %d, %d groups%s", in.rows,
                in.columns, in.channels, w.rows, w.columns, channels, groups,
                in.channels_first ? ", channels first" : "");
  check_both("convolution", naive::convolution, given, what);
}

void test_convolutions() {
  using namespace pellucid::PELLUCID_LEVEL;
  for (const bool first : {false, true}) {
    test_convolution({7, 6, 1, false, first}, {3, 3, 1, 1, 0, 0, 0}, 5, 1, ID_ReLU, 5);
    test_convolution({7, 9, 3, false, first}, {3, 2, 2, 3, 1, 1, 1}, 17, 1, ID_Tanh, 13);
    test_convolution({6, 6, 4, false, first}, {3, 3, 1, 1, 1, 1, 1}, 6, 2, ID_SiLU, 16);
    test_convolution({5, 5, 6, false, first}, {5, 5, 1, 1, 0, 0, 0}, 6, 6, ID_Identity, 1);
    test_convolution({4, 5, 19, false, first}, {1, 1, 2, 2, 0, 0, 0}, 33, 1, ID_ReLU, 7);
    test_convolution({8, 8, 2, false, first}, {2, 2, 3, 3, 0, 0, 0}, 3, 1, ID_ReLU,
                     3);  // some unseen
    // Sequences: same, causal, with a stride.
    test_convolution({1, 11, 3, true, first}, {1, 4, 1, 1, 0, 1, 2}, 7, 1, ID_Tanh, 9);
    test_convolution({1, 8, 5, true, first}, {1, 3, 1, 1, 0, 2, 0}, 2, 1, ID_ReLU, 4);
    test_convolution({1, 10, 2, true, first}, {1, 3, 2, 2, 0, 0, 0}, 4, 2, ID_Identity, 2);
  }
}

void test_pool(const Shape& in, const Window& w, bool max, bool ties, int m) {
  naive::Given given;
  given.in = in;
  given.out = after(in, w, in.channels);
  given.out.channels_first = in.channels_first;
  given.numbers = numbers_of(w);
  given.numbers["max"] = max;
  given.m = m;
  for (int k = 0; ties && k < m * in.n(); ++k) given.A_prev.push_back(k * k % 7 % 3);
  char what[100];
  std::snprintf(what, sizeof what, "%s pool %dx%d of %dx%dx%d", max ? "max" : "average", w.rows,
                w.columns, in.rows, in.columns, in.channels);
  check_both("pool", naive::pool, given, what);
}

void test_globalpool(const Shape& in, bool max, const std::vector<int>& lengths) {
  naive::Given given;
  given.in = in;
  given.out = {1, 1, in.channels, false, false};
  given.numbers["max"] = max;
  given.lengths = lengths;
  given.m = lengths.empty() ? 6 : int(lengths.size());
  check_both("globalpool", naive::globalpool, given, max ? "largest of all" : "mean of all");
}

void test_pools() {
  for (const bool first : {false, true})
    for (const bool max : {false, true}) {
      for (const bool ties : {false, true}) {
        test_pool({6, 6, 3, false, first}, {2, 2, 2, 2, 0, 0, 0}, max, ties, 5);
        test_pool({7, 8, 5, false, first}, {3, 3, 2, 2, 0, 0, 0}, max, ties, 16);  // overlap
        test_pool({5, 7, 1, false, first}, {2, 3, 3, 4, 0, 0, 0}, max, ties, 1);   // gaps
        test_pool({1, 9, 4, true, first}, {1, 3, 2, 2, 0, 0, 0}, max, ties, 11);
      }
      test_globalpool({3, 5, 7, false, first}, max, {});
      test_globalpool({1, 6, 5, true, first}, max, {6, 1, 3, 0, 5, 6, 2});
    }
}

}  // namespace

int main() {
  test_convolutions();
  test_pools();
  return pellucid::failures();
}
