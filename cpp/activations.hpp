// The activations: g and g' of a vector. The formulas stand in src/pellucid/activations.py.
//
// A struct each: `g(z, p)`, and `slope(z, a, p)` = g'(z) from a = g(z), with z where needs_Z says
// so (elsewhere z is not read). p is the entry's parameter; most have none. To add one: a struct,
// and a line in PELLUCID_ACTIVATIONS.
#pragma once

#include "math.hpp"

// X(struct, name), in the order of the Python table; the name is Python's. Softmax comes after
// them: it mixes the units of an example, so losses.hpp has it.
#define PELLUCID_ACTIVATIONS(X)  \
  X(Identity, "identity")        \
  X(Sigmoid, "sigmoid")          \
  X(Tanh, "tanh")                \
  X(ReLU, "relu")                \
  X(LeakyReLU, "leaky_relu")     \
  X(ELU, "elu")                  \
  X(SELU, "selu")                \
  X(GELU, "gelu")                \
  X(SiLU, "silu")                \
  X(Mish, "mish")                \
  X(Softplus, "softplus")        \
  X(HardSigmoid, "hard_sigmoid") \
  X(HardTanh, "hard_tanh")       \
  X(Exp, "exp")

namespace pellucid::PELLUCID_LEVEL {

struct ByA {  // g' from a
  static constexpr bool needs_Z = false;
};
struct ByZ {
  static constexpr bool needs_Z = true;
};

struct Identity : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return z;
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T>, T) {
    return constant(T(1));
  }
};

struct Sigmoid : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return sigmoid<T>(z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    return a * (constant(T(1)) - a);
  }
};

struct Tanh : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return tanh<T>(z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    return constant(T(1)) - a * a;
  }
};

struct ReLU : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return max<T>(z, Vec<T>{});
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    return select<T>(a > Vec<T>{}, constant(T(1)), Vec<T>{});
  }
};

struct LeakyReLU : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T p) {
    return select<T>(z > Vec<T>{}, z, constant(p) * z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T p) {
    return select<T>(a > Vec<T>{}, constant(T(1)), constant(p));
  }
};

// scale z for z > 0, else a (e^z - 1); ELU and SELU.
template <class T>
PELLUCID_INLINE Vec<T> elu(Vec<T> z, T scale, T a) {
  const Vec<T> curve = constant(a) * expm1<T>(min<T>(z, Vec<T>{}));
  return select<T>(z > Vec<T>{}, constant(scale) * z, curve);
}

struct ELU : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T p) {
    return elu<T>(z, T(1), p);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T p) {
    return select<T>(a > Vec<T>{}, constant(T(1)), a + constant(p));
  }
};

struct SELU : ByA {
  static constexpr double scale = 1.0507009873554804934193349852946;
  static constexpr double a = 1.6732632423543772848170429916717;
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return elu<T>(z, T(scale), T(scale * a));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> value, T) {
    return select<T>(value > Vec<T>{}, constant(T(scale)), value + constant(T(scale * a)));
  }
};

// With s = sigmoid(2u), u = c (z + 0.044715 z^3): (1 + tanh(u)) / 2 = s, without the cancellation.
struct GELU : ByZ {
  static constexpr double c = 0.79788456080286535588;  // sqrt(2 / pi)
  template <class T>
  PELLUCID_INLINE static Vec<T> share(Vec<T> z) {
    const Vec<T> cubic = fma(constant(T(2 * c * 0.044715)), z * z, constant(T(2 * c)));
    return sigmoid<T>(z * cubic);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return z * share<T>(z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T> z, Vec<T>, T) {
    const Vec<T> s = share<T>(z);
    const Vec<T> inner = fma(constant(T(6 * c * 0.044715)), z * z, constant(T(2 * c)));
    return s + z * (s * (constant(T(1)) - s)) * inner;
  }
};

struct SiLU : ByZ {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return z * sigmoid<T>(z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T> z, Vec<T> a, T) {
    const Vec<T> s = sigmoid<T>(z);
    return s + a * (constant(T(1)) - s);
  }
};

// With e = e^z and n = e (e + 2): tanh(ln(1 + e)) = n / (n + 2). Beyond `high` it is 1.
struct Mish : ByZ {
  template <class T>
  PELLUCID_INLINE static Vec<T> held(Vec<T> z) {
    return min<T>(z, constant(Constants<T>::tanh_high * 2));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    const Vec<T> e = exp<T>(held<T>(z)), n = e * (e + constant(T(2)));
    return z * (n / (n + constant(T(2))));
  }
  // 1 - tanh^2 = 4 (1 + e)^2 / (n + 2)^2, and sigmoid(z) = e / (1 + e).
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T> z, Vec<T>, T) {
    const Vec<T> two = constant(T(2)), x = held<T>(z), e = exp<T>(x), n = e * (e + two);
    const Vec<T> d = constant(T(1)) / (n + two);
    return n * d + x * (constant(T(4)) * (e * (e + constant(T(1))) * d) * d);
  }
};

struct Softplus : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return softplus<T>(z);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    return -expm1<T>(-a);
  }
};

struct HardSigmoid : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    const Vec<T> line = z / constant(T(6)) + constant(T(0.5));  // z * (1/6) would move the kinks
    return min<T>(max<T>(line, Vec<T>{}), constant(T(1)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    const Vec<T> zero{};
    return select<T>((a > zero) & (a < constant(T(1))), constant(T(1) / T(6)), zero);
  }
};

struct HardTanh : ByA {
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return min<T>(max<T>(z, constant(T(-1))), constant(T(1)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T>, Vec<T> a, T) {
    const Vec<T> one = constant(T(1));
    return select<T>((a > -one) & (a < one), one, Vec<T>{});
  }
};

struct Exp : ByZ {
  template <class T>
  static constexpr T limit = sizeof(T) == 4 ? T(70) : T(700);
  template <class T>
  PELLUCID_INLINE static Vec<T> g(Vec<T> z, T) {
    return exp<T>(min<T>(z, constant(limit<T>)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> slope(Vec<T> z, Vec<T> a, T) {
    return select<T>(z >= constant(limit<T>), Vec<T>{}, a);
  }
};

#define PELLUCID_ID(Struct, name) ID_##Struct,
enum ActivationId : int { PELLUCID_ACTIVATIONS(PELLUCID_ID) ID_Softmax };
#undef PELLUCID_ID

struct ActivationName {
  const char* name;
  bool needs_Z;
};
// By id.
#define PELLUCID_NAME(Struct, name) {name, Struct::needs_Z},
inline constexpr ActivationName ACTIVATION_NAMES[] = {
    PELLUCID_ACTIVATIONS(PELLUCID_NAME){"softmax", false}};
#undef PELLUCID_NAME

// f(Struct{}) for the activation of this id: the one place that turns an id into code. Softmax is
// no such activation; whoever starts a session refuses it in a hidden layer.
template <class F>
PELLUCID_INLINE void with_activation(int id, F f) {
#define PELLUCID_CASE(Struct, name) \
  case ID_##Struct:                 \
    return f(Struct{});
  switch (id) {
    PELLUCID_ACTIVATIONS(PELLUCID_CASE)
    default:
      __builtin_trap();
  }
#undef PELLUCID_CASE
}

}  // namespace pellucid::PELLUCID_LEVEL
