// The sparse products of a first layer, each beside a naive one.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "sparse.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;

constexpr int INPUTS = 150, EXAMPLES = 40;

// X with examples without an entry, entries that are 0, and a last input that only one has.
template <class T>
struct Sample {
  std::vector<T> values, dense;  // dense: EXAMPLES x INPUTS
  std::vector<std::int32_t> inputs;
  std::vector<std::int64_t> starts{0};

  Sample() : dense(size_t(EXAMPLES) * INPUTS) {
    for (int r = 0; r < EXAMPLES; ++r) {
      for (int k = 0; k < INPUTS; ++k) {
        if (r % 9 == 4 || ((r * 31 + k * 17) % 23 && (r != 7 || k != INPUTS - 1))) continue;
        const T value = k % 10 == 3 ? T(0) : T(std::sin(r + 0.3 * k));
        dense[size_t(r) * INPUTS + k] = value;
        values.push_back(value);
        inputs.push_back(k);
      }
      starts.push_back(std::int64_t(values.size()));
    }
  }

  Entries<T> entries(int r) const {
    return {values.data() + starts[r], inputs.data() + starts[r], starts[r + 1] - starts[r]};
  }
};

// start + the sum over k, one fma a term, as a dense product has it.
template <class T, class Weight>
T naive(const Sample<T>& x, int r, T start, Weight weight) {
  for (int k = 0; k < INPUTS; ++k)
    start = fma_one(x.dense[size_t(r) * INPUTS + k], weight(k), start);
  return start;
}

template <class T>
std::vector<T> numbers(size_t n, double phase) {
  std::vector<T> found(n);
  for (size_t k = 0; k < n; ++k) found[k] = T(std::sin(phase + 0.37 * double(k)));
  return found;
}

// From W in panels, and as the lectures have it, to the last number.
template <class T>
void test_forward(int units) {
  constexpr int P = PANEL<T>;
  const Sample<T> x;
  const int count = panels(units, P);
  const std::vector<T> W = numbers<T>(size_t(INPUTS) * units, 1), b = numbers<T>(count * P, 2);
  std::vector<T> in_panels(size_t(count) * INPUTS * P);
  for (int k = 0; k < INPUTS; ++k)
    for (int u = 0; u < units; ++u)
      in_panels[(size_t(u / P) * INPUTS + k) * P + u % P] = W[size_t(k) * units + u];
  for (const bool padded : {true, false})
    for (int r = 0; r < EXAMPLES; ++r) {
      std::vector<T> z(size_t(count) * P);
      const Places at = padded ? Places{P, size_t(INPUTS) * P} : Places{size_t(units), P};
      sparse_nn(x.entries(r), padded ? in_panels.data() : W.data(), at, padded, b.data(), z.data(),
                P, 0, units, AsIs<T>{});
      for (int u = 0; u < units; ++u) {
        const T wanted = naive(x, r, b[u], [&](int k) { return W[size_t(k) * units + u]; });
        CHECK(z[u] == wanted, "%d units, unit %d of row %d: %g, not %g", units, u, r, double(z[u]),
              double(wanted));
      }
    }
}

template <class T>
void test_dot() {
  constexpr int L = LANES<T>;
  const Sample<T> x;
  const std::vector<T> W = numbers<T>(INPUTS, 3);
  for (int r = 0; r < EXAMPLES; ++r) {
    std::vector<T> lanes(L);
    for (int k = 0; k < INPUTS; ++k)
      lanes[k % L] = fma_one(x.dense[size_t(r) * INPUTS + k], W[k], lanes[k % L]);
    const T wanted = lane_sum<T>(load(lanes.data())) + T(0.25);
    const T got = sparse_dot(x.entries(r), W.data(), T(0.25), [](int k) { return size_t(k); });
    CHECK(got == wanted, "row %d: %g, not %g", r, double(got), double(wanted));
  }
}

// dW in two parts of the panels, over some rows, and going on over the others.
template <class T>
void test_gradient(int units) {
  constexpr int P = PANEL<T>;
  const Sample<T> x;
  const int all = panels(INPUTS, P), count = panels(units, P);
  const std::vector<T> D = numbers<T>(size_t(count) * EXAMPLES * P, 4);
  const auto d = [&](int r, int u) { return D[(size_t(u / P) * EXAMPLES + r) * P + u % P]; };
  std::vector<T> G(size_t(P) * P, T(7)), narrow(size_t(units) * P, T(7));
  for (int i = 0; i < all; ++i)
    for (int j = 0; j < count; ++j) {
      const int rows = std::min(P, INPUTS - i * P), columns = std::min(P, units - j * P);
      for (const int r0 : {0, 25}) {
        Turned<T> turned;
        const int begin = i < 2 ? 0 : 2;
        turned.turn(begin, i < 2 ? 2 : all, r0, r0 ? EXAMPLES : 25,
                    [&](int r) { return x.entries(r); });
        CHECK(turned.has(i) && !turned.has(begin - 1) && !turned.has(all));
        sparse_tn(turned, i, D.data() + size_t(j) * EXAMPLES * P, rows, columns, r0 > 0, G.data());
        if (units < P) sparse_tn_narrow(turned, i, D.data(), units, r0 > 0, narrow.data());
      }
      for (int k = 0; k < rows; ++k)
        for (int u = 0; u < columns; ++u) {
          T wanted = 0;
          for (int r = 0; r < EXAMPLES; ++r)
            wanted = fma_one(x.dense[size_t(r) * INPUTS + i * P + k], d(r, j * P + u), wanted);
          CHECK(G[k * P + u] == wanted, "block %d, %d, input %d, unit %d", i, j, k, u);
          CHECK(units >= P || narrow[u * P + k] == wanted, "narrow, input %d, unit %d", k, u);
        }
      for (int k = rows; units < P && k < P; ++k)
        CHECK(narrow[k] == 0, "an input that is not there has a gradient");
    }
}

template <class T>
void test_all() {
  for (const int units : {1, 3, 8, 15, 16, 50, 64, 100, 129, 260}) test_forward<T>(units);
  test_dot<T>();
  for (const int units : {1, 3, 16, 50}) test_gradient<T>(units);
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  return pellucid::failures();
}
