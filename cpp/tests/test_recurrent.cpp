// Recurrent, GRU and LSTM beside their twins: both ways, with and without lengths.
#include "stages/naive_recurrent.hpp"
#include "twins.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL::stages;

void test(const char* kind, TwinOf twin, int gates, int biases, naive::Given given, int steps,
          int n_x, int n, bool first) {
  given.in = {1, steps, n_x, true, first};
  given.parameters = {naive::Numbers(size_t(gates * n * (n + n_x))),
                      naive::Numbers(size_t(biases * n))};
  for (const bool backwards : {false, true})
    for (const bool sequences : {false, true}) {
      given.numbers["backwards"] = backwards;
      given.numbers["sequences"] = sequences;
      given.out = {1, sequences ? steps : 1, n, sequences, false};
      char what[100];
      std::snprintf(what, sizeof what, "%s of %d, %d units, %d steps%s%s%s", kind, n_x, n, steps,
                    backwards ? ", backwards" : "", sequences ? ", sequences" : "",
                    given.lengths.empty() ? "" : ", lengths");
      check_both(kind, twin, given, what);
    }
}

void test_all(int steps, int n_x, int n, const std::vector<int>& lengths, int m, bool first) {
  using namespace pellucid::PELLUCID_LEVEL;
  naive::Given given;
  given.lengths = lengths;
  given.m = m;
  for (const int g : {ID_Tanh, ID_SiLU}) {
    given.activation = g;
    test("recurrent", naive::recurrent, 1, 1, given, steps, n_x, n, first);
  }
  given.activation = ID_Tanh;
  test("lstm", naive::lstm, 4, 4, given, steps, n_x, n, first);
  for (const bool after : {false, true}) {
    given.numbers["reset_after"] = after;
    test("gru", naive::gru, 3, after ? 4 : 3, given, steps, n_x, n, first);
  }
}

}  // namespace

int main() {
  test_all(5, 3, 7, {}, 6, false);
  test_all(4, 9, 17, {}, 16, true);
  test_all(1, 1, 1, {}, 1, false);
  test_all(6, 2, 5, {6, 1, 4, 0, 3, 5, 2}, 7, false);
  test_all(5, 4, 18, {5, 2, 5, 1, 3}, 5, true);
  return pellucid::failures();
}
