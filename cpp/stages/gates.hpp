// sigmoid and tanh of gates, as fractions: a division costs as much as half a gate, and one serves
// two. Errors are below 4 units of the last place (sigmoid's beyond -40, doubles -80, apart: it is
// not less than there).
#pragma once

#include "../math.hpp"

namespace pellucid::PELLUCID_LEVEL::stages {

template <class T>
struct Fraction {
  Vec<T> over, under;  // under is between 1 and e^sigmoid_high + 2, so that two have a product
};

// e^z / (e^z + 1).
template <class T>
PELLUCID_INLINE Fraction<T> sigmoid_fraction(Vec<T> z) {
  const Vec<T> high = constant(Constants<T>::sigmoid_high);
  const Reduced<T> e = reduce<T>(max<T>(min<T>(z, high), -high));
  const Vec<T> n = power<T>(e.shifted), over = fma(n, e.t, n);
  return {over, over + constant(T(1))};
}

// (e^2z - 1) / (e^2z + 1): near 0 n is 1, and the numerator as exact as e.t.
template <class T>
PELLUCID_INLINE Fraction<T> tanh_fraction(Vec<T> z) {
  const Vec<T> high = constant(Constants<T>::tanh_high);
  const Vec<T> held = max<T>(min<T>(z, high), -high);
  const Reduced<T> e = reduce<T>(held + held);
  const Vec<T> n = power<T>(e.shifted), over = fma(n, e.t, n - constant(T(1)));
  return {over, over + constant(T(2))};
}

template <class T>
PELLUCID_INLINE Vec<T> quotient(Fraction<T> a) {
  return a.over / a.under;
}
// Of both, into `a` and `b`.
template <class T>
PELLUCID_INLINE void quotients(Fraction<T> of_a, Fraction<T> of_b, Vec<T>& a, Vec<T>& b) {
  const Vec<T> inverse = constant(T(1)) / (of_a.under * of_b.under);
  a = of_a.over * (of_b.under * inverse);
  b = of_b.over * (of_a.under * inverse);
}

}  // namespace pellucid::PELLUCID_LEVEL::stages
