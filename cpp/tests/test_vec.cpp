// vec.hpp against plain C++, lane by lane.
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "vec.hpp"

namespace {

using namespace pellucid::PELLUCID_LEVEL;

// Numbers of both signs and many sizes, and those that go wrong first.
template <class T>
std::vector<T> samples() {
  using limits = std::numeric_limits<T>;
  std::vector<T> numbers = {T(0),
                            T(-0.0),
                            T(1),
                            T(-1),
                            limits::min(),
                            limits::denorm_min(),
                            limits::max(),
                            limits::lowest(),
                            limits::epsilon(),
                            limits::infinity(),
                            -limits::infinity(),
                            limits::quiet_NaN()};
  for (int i = 0; i < 200; ++i) {
    numbers.push_back(std::ldexp(T(1) + T(i) / T(7), (i * 37) % 90 - 45) * (i % 3 ? T(1) : T(-1)));
  }
  while (numbers.size() % PANEL<T> != 0) numbers.push_back(T(0.1));
  return numbers;
}

// Equal, with the sign of a zero, and a NaN equal to a NaN.
template <class T>
bool same(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b && std::signbit(a) == std::signbit(b);
}

// Whether this level's fma() rounds once.
#if PELLUCID_BYTES > 16 || defined(__aarch64__)
constexpr bool FUSED = true;
#else
constexpr bool FUSED = false;
#endif

template <class T>
T multiply_add(T a, T b, T c) {
  return FUSED ? std::fma(a, b, c) : T(a * b) + c;
}

template <class T>
void test_load_and_store_take_any_address() {
  std::vector<T> from(LANES<T> + 3), to(LANES<T> + 3, T(-7));
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = T(i);
  store<T>(&to[1], load<T>(&from[1]));
  CHECK(to[0] == T(-7));
  for (int i = 1; i <= LANES<T>; ++i) CHECK(to[i] == T(i));
  for (int i = LANES<T> + 1; i < LANES<T> + 3; ++i) CHECK(to[i] == T(-7));
}

template <class T>
void test_one_argument() {
  const std::vector<T> x = samples<T>();
  for (std::size_t k = 0; k < x.size(); k += LANES<T>) {
    const Vec<T> v = load<T>(&x[k]);
    const Vec<T> root = sqrt(v), size = abs<T>(v), all = broadcast<T>(x[k]);
    const Vec<T> again = from_bits<T>(bits<T>(v));
    for (int i = 0; i < LANES<T>; ++i) {
      const T a = x[k + i];
      CHECK(same<T>(root[i], std::sqrt(a)), "sqrt(%g) is %g", double(a), double(root[i]));
      CHECK(same<T>(size[i], std::fabs(a)), "abs(%g) is %g", double(a), double(size[i]));
      CHECK(same<T>(again[i], a), "%g came back as %g", double(a), double(again[i]));
      CHECK(same<T>(all[i], x[k]), "lane %d of broadcast(%g)", i, double(x[k]));
    }
  }
}

template <class T>
void test_several_arguments() {
  const std::vector<T> x = samples<T>();
  const std::size_t n = x.size();
  for (std::size_t shift = 0; shift < n; ++shift) {
    std::vector<T> y(n), z(n);
    for (std::size_t i = 0; i < n; ++i) {
      y[i] = x[(i + shift) % n];
      z[i] = x[(i + 5 * shift + 1) % n];
    }
    for (std::size_t k = 0; k < n; k += LANES<T>) {
      const Vec<T> a = load<T>(&x[k]), b = load<T>(&y[k]), c = load<T>(&z[k]);
      const Vec<T> sum = fma(a, b, c), high = max<T>(a, b), low = min<T>(a, b);
      const Vec<T> chosen = select<T>(a < b, b, c);
      for (int i = 0; i < LANES<T>; ++i) {
        const T p = x[k + i], q = y[k + i], r = z[k + i];
        CHECK(same<T>(sum[i], multiply_add(p, q, r)), "fma(%g, %g, %g) is %g", double(p), double(q),
              double(r), double(sum[i]));
        CHECK(same<T>(chosen[i], p < q ? q : r), "select lane %d", i);
        CHECK(same<T>(high[i], p < q ? q : p), "max(%g, %g) is %g", double(p), double(q),
              double(high[i]));
        CHECK(same<T>(low[i], p > q ? q : p), "min(%g, %g) is %g", double(p), double(q),
              double(low[i]));
      }
    }
  }
}

template <class T>
void test_all() {
  static_assert(sizeof(Vec<T>) == PELLUCID_BYTES && sizeof(IntVec<T>) == PELLUCID_BYTES);
  test_load_and_store_take_any_address<T>();
  test_one_argument<T>();
  test_several_arguments<T>();
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  return pellucid::failures();
}
