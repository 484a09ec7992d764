// The optimizers: what a tile of dW does to the same tile of W, in registers.
//
// The formulas stand in src/pellucid/optimizers.py.
#pragma once

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

enum OptimizerId {
  GRADIENT_DESCENT,
  MOMENTUM,
  CLASSICAL_MOMENTUM,
  NESTEROV,
  RMSPROP,
  ADAM,  // AdamW is Adam with a decay
};

struct OptimizerName {
  const char* name;
  int id;
};
inline constexpr OptimizerName OPTIMIZER_NAMES[] = {
    {"gradient_descent", GRADIENT_DESCENT},
    {"momentum", MOMENTUM},
    {"classical_momentum", CLASSICAL_MOMENTUM},
    {"nesterov", NESTEROV},
    {"rmsprop", RMSPROP},
    {"adam", ADAM},
    {"adamw", ADAM},
    {"lbfgs", GRADIENT_DESCENT},  // its steps are scipy's; only the gradients come from here
};

struct OptimizerSpec {
  int id = ADAM;
  double beta1 = 0.9;    // beta of the momentum forms and RMSProp, beta1 of Adam
  double beta2 = 0.999;  // Adam alone
  double epsilon = 1e-8;
  double decay = 0;           // AdamW's weight decay
  bool alpha_inside = false;  // the velocity carries the learning rate
};

inline int slots(int id) { return id == GRADIENT_DESCENT ? 0 : id == ADAM ? 2 : 1; }

// What is the same for every element of a parameter array at one step.
template <class T>
struct Update {
  int id;
  T alpha;    // learning rate times the array's factor
  T alpha_t;  // Adam's, bias correction included
  T keep;     // 1 - alpha decay: what AdamW leaves of W before the step
  T beta1, beta2, epsilon;
  T inside, outside;  // alpha and 1, or 1 and alpha
  T l1, l2;           // penalties, the layer's factor included
  T scale;            // of the gradient: clipping by the norm
  T bound;            // clipping by value; negative: none
};

// g with the penalties' derivatives and the clipping done.
template <class T>
PELLUCID_INLINE Vec<T> shaped_gradient(const Update<T>& u, Vec<T> g, Vec<T> w) {
  if (u.l2 != 0) g = fma(broadcast(u.l2), w, g);
  if (u.l1 != 0) {
    const Vec<T> zero{};
    const Vec<T> sign =
        select<T>(w > zero, broadcast(T(1)), select<T>(w < zero, broadcast(T(-1)), zero));
    g = g + broadcast(u.l1) * sign;
  }
  if (u.scale != 1) g = g * broadcast(u.scale);
  if (u.bound >= 0) g = max<T>(min<T>(g, broadcast(u.bound)), broadcast(-u.bound));
  return g;
}

// One vector of W and its memory (v, s) with its finished gradient.
template <class T, int ID>
PELLUCID_INLINE void step(const Update<T>& u, Vec<T> g, T* w_at, T* v_at, T* s_at) {
  Vec<T> w = load(w_at);
  if (u.keep != 1) w = w * broadcast(u.keep);
  if constexpr (ID == GRADIENT_DESCENT) {
    w = w - broadcast(u.alpha) * g;
  } else if constexpr (ID == MOMENTUM) {
    const Vec<T> v = fma(load(v_at), broadcast(u.beta1), broadcast(T(1) - u.beta1) * g);
    store(v_at, v);
    w = w - broadcast(u.alpha) * v;
  } else if constexpr (ID == CLASSICAL_MOMENTUM) {
    const Vec<T> v = fma(load(v_at), broadcast(u.beta1), broadcast(u.inside) * g);
    store(v_at, v);
    w = w - broadcast(u.outside) * v;
  } else if constexpr (ID == NESTEROV) {
    const Vec<T> v = fma(load(v_at), broadcast(u.beta1), broadcast(u.inside) * g);
    store(v_at, v);
    w = w - broadcast(u.outside) * (broadcast(u.beta1) * v + broadcast(u.inside) * g);
  } else if constexpr (ID == RMSPROP) {
    const Vec<T> s = fma(load(v_at), broadcast(u.beta1), broadcast(T(1) - u.beta1) * (g * g));
    store(v_at, s);
    w = w - broadcast(u.alpha) * g / (sqrt(s) + broadcast(u.epsilon));
  } else {
    const Vec<T> v = fma(load(v_at), broadcast(u.beta1), broadcast(T(1) - u.beta1) * g);
    const Vec<T> s = fma(load(s_at), broadcast(u.beta2), broadcast(T(1) - u.beta2) * (g * g));
    store(v_at, v);
    store(s_at, s);
    w = w - broadcast(u.alpha_t) * v / (sqrt(s) + broadcast(u.epsilon));
  }
  store(w_at, w);
}

// `given` is copied: nothing that is stored can change the copy, so it stays in registers.
template <class T, int ID, bool SHAPED>
static void update_run(const Update<T>& given, const T* G, T* W, T* v, T* s, int rows,
                       int vectors) {
  constexpr int L = LANES<T>, P = PANEL<T>;
  Update<T> u = given;
  if (!SHAPED) u.keep = 1;
  for (int i = 0; i < rows * P; i += vectors == 2 ? L : P) {
    const Vec<T> g = load(G + i);
    step<T, ID>(u, SHAPED ? shaped_gradient(u, g, load(W + i)) : g, W + i, v + i, s + i);
  }
}

template <class T, int ID>
static void update_with(const Update<T>& u, const T* G, T* W, T* v, T* s, int rows, int vectors) {
  const bool shaped = u.l1 != 0 || u.l2 != 0 || u.scale != 1 || u.bound >= 0 || u.keep != 1;
  return shaped ? update_run<T, ID, true>(u, G, W, v, s, rows, vectors)
                : update_run<T, ID, false>(u, G, W, v, s, rows, vectors);
}

// The first one or two vectors of some rows of W's panel, of its memory and of its gradient G.
template <class T>
static void update(const Update<T>& u, const T* G, T* W, T* v, T* s, int rows, int vectors) {
  switch (u.id) {
    case GRADIENT_DESCENT:
      return update_with<T, GRADIENT_DESCENT>(u, G, W, v, s, rows, vectors);
    case MOMENTUM:
      return update_with<T, MOMENTUM>(u, G, W, v, s, rows, vectors);
    case CLASSICAL_MOMENTUM:
      return update_with<T, CLASSICAL_MOMENTUM>(u, G, W, v, s, rows, vectors);
    case NESTEROV:
      return update_with<T, NESTEROV>(u, G, W, v, s, rows, vectors);
    case RMSPROP:
      return update_with<T, RMSPROP>(u, G, W, v, s, rows, vectors);
    default:
      return update_with<T, ADAM>(u, G, W, v, s, rows, vectors);
  }
}

}  // namespace pellucid::PELLUCID_LEVEL
