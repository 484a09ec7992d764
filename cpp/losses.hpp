// The losses: from Z[L] to A[L], the loss of each example and dZ[L]. The formulas stand in
// src/pellucid/losses.py.
//
// Where an example has few outputs (up to FEW), a lane is an example: several go through together.
// Where it has many, a lane is an output. What an example gets depends neither on how many others
// come with it nor on which. Losses are summed in double.
#pragma once

#include <algorithm>
#include <type_traits>

#include "activations.hpp"
#include "kernels.hpp"

// X(struct, name), in the order of the Python table.
#define PELLUCID_LOSSES(X)                                \
  X(BinaryCrossEntropy, "binary_cross_entropy")           \
  X(CategoricalCrossEntropy, "categorical_cross_entropy") \
  X(MeanSquaredError, "mean_squared_error")               \
  X(HalfSquaredError, "half_squared_error")               \
  X(MeanAbsoluteError, "mean_absolute_error")             \
  X(Huber, "huber")                                       \
  X(Quantile, "quantile")                                 \
  X(Poisson, "poisson")

namespace pellucid::PELLUCID_LEVEL {

template <class T>
struct LossSpec {
  int id = 0;
  T parameter = 0;  // Huber's delta, the quantile's q
  T smoothing = 0;
  int output_activation = 0;
  T activation_parameter = 0;
  bool fused = false;  // the loss and the output activation are a pair of losses.py
};

// As wide as a lane.
template <class T>
using Label = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// `count` examples of n outputs each. Example r has z + r * stride, a and dz likewise, the target
// y[r] (n numbers) or, where y is null, the class labels[r], and weights[r].
template <class T>
struct LossRows {
  int count;
  std::size_t stride;
  const T* z;
  T* a;                    // written; null: not wanted (few outputs only)
  const T* const* y;       // or null
  const Label<T>* labels;  // or null
  const T* weights;        // of the derivative alone; null: 1
  double* losses;          // written, without the weights; null: no loss, only a
  T* dz;                   // written: the derivative of weight times loss by z; null: not wanted
  std::size_t columns =
      0;  // not 0: output k of example r has z[k * columns + r] (few outputs only)
};

template <class T>
PELLUCID_INLINE Vec<T> sign(Vec<T> r) {  // of 0 it is 0, of NaN NaN
  return select<T>(r > Vec<T>{}, constant(T(1)), select<T>(r < Vec<T>{}, constant(T(-1)), r));
}

template <class T>
constexpr T epsilon = sizeof(T) == 4 ? T(0x1p-23) : T(0x1p-52);

template <class T>
PELLUCID_INLINE Vec<T> clipped(Vec<T> a) {
  return min<T>(max<T>(a, constant(epsilon<T>)), constant(T(1) - epsilon<T>));
}

template <class T>
PELLUCID_INLINE Vec<T> y_ln_y(Vec<T> y) {
  return y * log<T>(select<T>(y > Vec<T>{}, y, constant(T(1))));
}

// Each: the loss of one output and its derivative by a (of a fused pair: by z). `mean`: the mean
// over the outputs instead of the sum.

struct BinaryCrossEntropy {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    const Vec<T> c = clipped<T>(a), one = constant(T(1));
    return -(y * log<T>(c) + (one - y) * log<T>(one - c));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    const Vec<T> c = clipped<T>(a), one = constant(T(1));
    return select<T>(a == c, (one - y) / (one - c) - y / c, Vec<T>{});
  }
};

struct CategoricalCrossEntropy {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    return -(y * log<T>(clipped<T>(a)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    const Vec<T> c = clipped<T>(a);
    return select<T>(a == c, -y / c, Vec<T>{});
  }
};

struct MeanSquaredError {
  static constexpr bool mean = true;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    return (a - y) * (a - y);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    return (a - y) + (a - y);
  }
};

struct HalfSquaredError {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    return constant(T(0.5)) * ((a - y) * (a - y));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    return a - y;
  }
};

struct MeanAbsoluteError {
  static constexpr bool mean = true;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    return abs<T>(a - y);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    return sign<T>(a - y);
  }
};

struct Huber {
  static constexpr bool mean = true;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T delta) {
    const Vec<T> r = abs<T>(a - y), d = constant(delta), half = constant(T(0.5));
    return select<T>(r <= d, half * r * r, d * (r - half * d));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T delta) {
    return min<T>(max<T>(a - y, constant(-delta)), constant(delta));
  }
};

struct Quantile {
  static constexpr bool mean = true;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T q) {
    const Vec<T> r = y - a;
    return max<T>(constant(q) * r, constant(q - T(1)) * r);
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T q) {
    return constant(T(0.5) - q) - constant(T(0.5)) * sign<T>(y - a);
  }
};

struct Poisson {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T>, Vec<T> a, Vec<T> y, T) {
    return a - y + y_ln_y<T>(y) - y * log<T>(max<T>(a, constant(epsilon<T>)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    const Vec<T> c = max<T>(a, constant(epsilon<T>));
    return constant(T(1)) - select<T>(a == c, y / c, Vec<T>{});
  }
};

struct SigmoidBinaryCrossEntropy {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T> z, Vec<T>, Vec<T> y, T) {
    return max<T>(z, Vec<T>{}) - z * y + log1p_unit<T>(exp<T>(-abs<T>(z)));
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    return a - y;
  }
};

struct ExpPoisson {
  static constexpr bool mean = false;
  template <class T>
  PELLUCID_INLINE static Vec<T> value(Vec<T> z, Vec<T> a, Vec<T> y, T) {
    const Vec<T> beyond = max<T>(z - constant(Exp::limit<T>), Vec<T>{});
    return a * (constant(T(1)) + beyond) - y * z + y_ln_y<T>(y) - y;
  }
  template <class T>
  PELLUCID_INLINE static Vec<T> derivative(Vec<T> a, Vec<T> y, T) {
    return a - y;
  }
};

#define PELLUCID_ID(Struct, name) ID_##Struct,
enum LossId : int { PELLUCID_LOSSES(PELLUCID_ID) LOSS_COUNT };
#undef PELLUCID_ID

#define PELLUCID_NAME(Struct, name) name,
inline constexpr const char* LOSS_NAMES[] = {PELLUCID_LOSSES(PELLUCID_NAME)};
#undef PELLUCID_NAME

// f(Struct{}) for a loss, or a fused pair but softmax's.
template <class F>
PELLUCID_INLINE void with_loss(int id, bool fused, F f) {
  if (fused && id == ID_BinaryCrossEntropy) return f(SigmoidBinaryCrossEntropy{});
  if (fused && id == ID_Poisson) return f(ExpPoisson{});
#define PELLUCID_CASE(Struct, name) \
  case ID_##Struct:                 \
    return f(Struct{});
  switch (id) {
    PELLUCID_LOSSES(PELLUCID_CASE)
    default:
      __builtin_trap();
  }
#undef PELLUCID_CASE
}

// y as it counts: keep * y + share, label smoothing done.
template <class T>
struct Smoothing {
  T keep = 1, share = 0;
  Smoothing(const LossSpec<T>& spec, int n) {
    if (spec.smoothing == 0) return;
    keep = T(1) - spec.smoothing;
    share = spec.smoothing / (spec.id == ID_BinaryCrossEntropy ? T(2) : T(n));
  }
  PELLUCID_INLINE Vec<T> operator()(Vec<T> y) const {
    return share == 0 ? y : constant(keep) * y + constant(share);
  }
};

// A sum in double for each lane.
template <class T>
struct Sums {
  double lane[LANES<T>] = {};
  PELLUCID_INLINE void add(Vec<T> v) {
    T x[LANES<T>];
    store(x, v);
    for (int i = 0; i < LANES<T>; ++i) lane[i] += double(x[i]);
  }
  double total() const {
    double sum = 0;
    for (int i = 0; i < LANES<T>; ++i) sum += lane[i];
    return sum;
  }
};

template <class T>
PELLUCID_INLINE bool softmax_pair(const LossSpec<T>& spec) {
  return spec.fused && spec.id == ID_CategoricalCrossEntropy;
}

// ------------------------------------------------------------------------------- few outputs

constexpr int FEW = 16;

// A block of up to LANES examples: output k of example r at [k * LANES + r].
template <class T>
struct Columns {
  static constexpr int L = LANES<T>;
  alignas(64) T z[FEW * L];
  alignas(64) T a[FEW * L];
  alignas(64) T y[FEW * L];
  alignas(64) T d[FEW * L];
  Vec<T> highest, sum;  // of softmax: max z, sum of e^(z - highest)

  void activate(const LossSpec<T>& spec, int n) {
    if (spec.output_activation == ID_Softmax) {
      highest = load(z);
      for (int k = 1; k < n; ++k) highest = max<T>(load(z + k * L), highest);
      sum = Vec<T>{};
      for (int k = 0; k < n; ++k) {
        const Vec<T> e = exp<T>(load(z + k * L) - highest);
        store(a + k * L, e);
        sum = sum + e;
      }
      for (int k = 0; k < n; ++k) store(a + k * L, load(a + k * L) / sum);
      return;
    }
    with_activation(spec.output_activation, [&](auto g) {
      using G = decltype(g);
      for (int k = 0; k < n * L; k += L)
        store(a + k, G::template g<T>(load(z + k), spec.activation_parameter));
    });
  }

  // The losses, and in d the derivatives by a (by z of a fused pair), times `weight`.
  void lose(const LossSpec<T>& spec, int n, Vec<T> weight, bool gradient, double* losses) {
    const Smoothing<T> smooth(spec, n);
    Sums<T> sums;
    if (softmax_pair(spec)) {
      const Vec<T> log_sum = log<T>(sum);
      for (int k = 0; k < n * L; k += L) {
        const Vec<T> target = smooth(load(y + k));
        sums.add(target * (load(z + k) - highest));
        if (gradient) store(d + k, weight * (load(a + k) - target));
      }
      for (int r = 0; r < L; ++r) losses[r] = double(log_sum[r]) - sums.lane[r];
      return;
    }
    with_loss(spec.id, spec.fused, [&](auto loss) {
      using Loss = decltype(loss);
      const Vec<T> factor = Loss::mean ? weight / constant(T(n)) : weight;
      for (int k = 0; k < n * L; k += L) {
        const Vec<T> out = load(a + k), target = smooth(load(y + k));
        sums.add(Loss::template value<T>(load(z + k), out, target, spec.parameter));
        if (gradient)
          store(d + k, factor * Loss::template derivative<T>(out, target, spec.parameter));
      }
      for (int r = 0; r < L; ++r) losses[r] = Loss::mean ? sums.lane[r] / n : sums.lane[r];
    });
  }

  // From dA to dZ, in d.
  void back(const LossSpec<T>& spec, int n) {
    if (spec.fused) return;
    if (spec.output_activation == ID_Softmax) {
      Vec<T> dot{};
      for (int k = 0; k < n * L; k += L) dot = dot + load(a + k) * load(d + k);
      for (int k = 0; k < n * L; k += L) store(d + k, load(a + k) * (load(d + k) - dot));
      return;
    }
    with_activation(spec.output_activation, [&](auto g) {
      using G = decltype(g);
      for (int k = 0; k < n * L; k += L)
        store(d + k, load(d + k) *
                         G::template slope<T>(load(z + k), load(a + k), spec.activation_parameter));
    });
  }
};

// n numbers of each of `count` examples, between rows and Columns. Rows of whole vectors, such as a
// panel's, are read and written as such: zeros after the n stay zeros.
template <class T>
static void to_columns(const T* rows, std::size_t stride, int n, int count, T* columns) {
  constexpr int L = LANES<T>;
  for (int k = 0; k < n; k += L) {
    const int width = stride && stride % L == 0 ? L : std::min(L, n - k);
    Vec<T> v[L] = {};
    for (int r = 0; r < count; ++r) v[r] = load_up_to(rows + r * stride + k, width);
    transpose<T>(v);
    for (int i = 0; i < L && k + i < n; ++i) store(columns + (k + i) * L, v[i]);
  }
}
template <class T>
static void from_columns(const T* columns, int n, int count, T* rows, std::size_t stride) {
  constexpr int L = LANES<T>;
  for (int k = 0; k < n; k += L) {
    const int width = stride && stride % L == 0 ? L : std::min(L, n - k);
    Vec<T> v[L] = {};
    for (int i = 0; i < L && k + i < n; ++i) v[i] = load(columns + (k + i) * L);
    transpose<T>(v);
    for (int r = 0; r < count; ++r) store_up_to(rows + r * stride + k, v[r], width);
  }
}

// Up to LANES examples, from `first` on.
template <class T>
static void few_outputs(const LossSpec<T>& spec, int n, const LossRows<T>& rows, int first,
                        int count) {
  constexpr int L = LANES<T>;
  Columns<T> block;
  const std::size_t at = std::size_t(first) * rows.stride;
  if (rows.columns)
    for (int k = 0; k < n; ++k)
      store(block.z + k * L, load_up_to(rows.z + k * rows.columns + first, count));
  else
    to_columns(rows.z + at, rows.stride, n, count, block.z);
  block.activate(spec, n);
  if (rows.a) from_columns(block.a, n, count, rows.a + at, rows.stride);
  if (!rows.losses) return;

  if (rows.y) {
    for (int k = 0; k < n; ++k) {
      if (count < L) store(block.y + k * L, Vec<T>{});
      for (int r = 0; r < count; ++r) block.y[k * L + r] = rows.y[first + r][k];
    }
  } else {
    IntVec<T> labels{};
    std::memcpy(&labels, rows.labels + first, count == L ? sizeof labels : count * sizeof(T));
    for (int k = 0; k < n; ++k)
      store(block.y + k * L, select<T>(labels == IntVec<T>{} + k, constant(T(1)), Vec<T>{}));
  }
  Vec<T> weight = constant(T(1));
  if (rows.weights) weight = load_part(rows.weights + first, count);
  double losses[L];
  block.lose(spec, n, weight, rows.dz != nullptr, losses);
  for (int r = 0; r < count; ++r) rows.losses[first + r] = losses[r];
  if (!rows.dz) return;
  block.back(spec, n);
  from_columns(block.d, n, count, rows.dz + at, rows.stride);
}

// ------------------------------------------------------------------------------ many outputs

// f(k, count) for the vectors that cover n numbers.
template <class T, class F>
PELLUCID_INLINE void for_vectors(int n, F f) {
  constexpr int L = LANES<T>;
  int k = 0;
  for (; k + L <= n; k += L) f(k, L);
  if (k < n) f(k, n - k);
}

template <class T>
struct SoftmaxSums {
  T highest, sum;
};

// a = softmax(z) of one example. With few outputs the sum has the order of Columns.
template <class T>
static SoftmaxSums<T> softmax_row(int n, const T* z, T* a) {
  constexpr int L = LANES<T>;
  const Vec<T> lowest = constant(-T(__builtin_inf()));
  Vec<T> most = lowest, sums{};
  for_vectors<T>(n, [&](int k, int count) {
    most = max<T>(select<T>(first_lanes<T>(count), load_up_to(z + k, count), lowest), most);
  });
  T highest = most[0], sum = 0;
  for (int i = 1; i < L; ++i) highest = most[i] > highest ? T(most[i]) : highest;
  for_vectors<T>(n, [&](int k, int count) {
    const Vec<T> e = exp<T>(load_up_to(z + k, count) - constant(highest));
    store_up_to(a + k, e, count);
    sums = sums + select<T>(first_lanes<T>(count), e, Vec<T>{});
  });
  if (n <= FEW)
    for (int k = 0; k < n; ++k) sum += a[k];
  else
    for (int i = 0; i < L; ++i) sum += sums[i];
  for_vectors<T>(n, [&](int k, int count) {
    store_up_to(a + k, load_up_to(a + k, count) / constant(sum), count);
  });
  return {highest, sum};
}

// One example: its target, and the loss and dz from it.
template <class T>
struct Row {
  const LossSpec<T>& spec;
  int n;
  const T *z, *a, *y;
  int label;
  Smoothing<T> smooth;

  PELLUCID_INLINE Vec<T> target(int k, int count) const {
    if (y) return smooth(load_up_to(y + k, count));
    const IntVec<T> hit = lane_numbers<T>() == IntVec<T>{} + (label - k);
    return smooth(select<T>(hit, constant(T(1)), Vec<T>{}));
  }

  double softmax_loss(const SoftmaxSums<T>& softmax, T weight, T* dz) const {
    const Vec<T> highest = constant(softmax.highest);
    const bool one_class = !y && smooth.share == 0;  // then one term of the sum counts
    Sums<T> sums;
    if (dz || !one_class)
      for_vectors<T>(n, [&](int k, int count) {
        const Vec<T> want = target(k, count);
        if (dz) store_up_to(dz + k, constant(weight) * (load_up_to(a + k, count) - want), count);
        if (one_class) return;
        const Vec<T> each = want * (load_up_to(z + k, count) - highest);
        sums.add(select<T>(first_lanes<T>(count), each, Vec<T>{}));
      });
    const double inner = one_class
                             ? (label >= 0 && label < n ? double(z[label] - softmax.highest) : 0)
                             : sums.total();
    return double(log<T>(constant(softmax.sum))[0]) - inner;
  }

  template <class Loss>
  double loss(T weight, T* dz) const {
    Sums<T> sums;
    const Vec<T> factor = constant(Loss::mean ? weight / T(n) : weight);
    for_vectors<T>(n, [&](int k, int count) {
      const Vec<T> out = load_up_to(a + k, count), want = target(k, count);
      const Vec<T> each =
          Loss::template value<T>(load_up_to(z + k, count), out, want, spec.parameter);
      sums.add(select<T>(first_lanes<T>(count), each, Vec<T>{}));
      if (dz)
        store_up_to(dz + k, factor * Loss::template derivative<T>(out, want, spec.parameter),
                    count);
    });
    return Loss::mean ? sums.total() / n : sums.total();
  }

  void back(T* dz) const {
    if (spec.output_activation == ID_Softmax) {
      Vec<T> dots{};
      for_vectors<T>(n, [&](int k, int count) {
        const Vec<T> each = load_up_to(a + k, count) * load_up_to(dz + k, count);
        dots = dots + each;
      });
      T dot = 0;
      for (int i = 0; i < LANES<T>; ++i) dot += dots[i];
      for_vectors<T>(n, [&](int k, int count) {
        const Vec<T> d = load_up_to(dz + k, count) - constant(dot);
        store_up_to(dz + k, load_up_to(a + k, count) * d, count);
      });
      return;
    }
    with_activation(spec.output_activation, [&](auto g) {
      using G = decltype(g);
      for_vectors<T>(n, [&](int k, int count) {
        const Vec<T> slope = G::template slope<T>(
            load_up_to(z + k, count), load_up_to(a + k, count), spec.activation_parameter);
        store_up_to(dz + k, load_up_to(dz + k, count) * slope, count);
      });
    });
  }
};

// a = g(z) of one example, softmax included; returns softmax's sums.
template <class T>
static SoftmaxSums<T> output_activation(const LossSpec<T>& spec, int n, const T* z, T* a) {
  if (spec.output_activation == ID_Softmax) return softmax_row<T>(n, z, a);
  with_activation(spec.output_activation, [&](auto g) {
    using G = decltype(g);
    for_vectors<T>(n, [&](int k, int count) {
      store_up_to(a + k, G::template g<T>(load_up_to(z + k, count), spec.activation_parameter),
                  count);
    });
  });
  return {};
}

template <class T>
static double many_outputs(const LossSpec<T>& spec, int n, const T* z, T* a, const T* y, int label,
                           T weight, T* dz) {
  const SoftmaxSums<T> softmax = output_activation(spec, n, z, a);
  const Row<T> row{spec, n, z, a, y, label, Smoothing<T>(spec, n)};
  double value = 0;
  if (softmax_pair(spec)) return row.softmax_loss(softmax, weight, dz);
  with_loss(spec.id, spec.fused,
            [&](auto loss) { value = row.template loss<decltype(loss)>(weight, dz); });
  if (dz && !spec.fused) row.back(dz);
  return value;
}

// ------------------------------------------------------------------------------------- both

// A, the losses and dZ of some examples. Few outputs are quickest with many examples a call.
template <class T>
static void loss_rows(const LossSpec<T>& spec, int n, const LossRows<T>& rows) {
  constexpr int L = LANES<T>;
  if (n <= FEW) {
    for (int r = 0; r < rows.count; r += L)
      few_outputs(spec, n, rows, r, rows.count - r < L ? rows.count - r : L);
    return;
  }
  for (int r = 0; r < rows.count; ++r) {
    const std::size_t at = std::size_t(r) * rows.stride;
    if (!rows.losses) {
      output_activation(spec, n, rows.z + at, rows.a + at);
      continue;
    }
    rows.losses[r] =
        many_outputs(spec, n, rows.z + at, rows.a + at, rows.y ? rows.y[r] : nullptr,
                     rows.labels ? int(rows.labels[r]) : -1, rows.weights ? rows.weights[r] : T(1),
                     rows.dz ? rows.dz + at : nullptr);
  }
}

// The same for one example: writes a and, where wanted, dz; returns the loss.
template <class T>
static double example_loss(const LossSpec<T>& spec, int n, const T* z, T* a, const T* y, int label,
                           T weight, T* dz, bool want_gradient) {
  double value = 0;
  const Label<T> number = label;
  const LossRows<T> one{
      1, 0, z, a, y ? &y : nullptr, &number, &weight, &value, want_gradient ? dz : nullptr};
  loss_rows(spec, n, one);
  return value;
}

}  // namespace pellucid::PELLUCID_LEVEL
