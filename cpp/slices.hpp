// What lies around the stages of a slice: X on its way in, A[L] and the loss on its way out.
#pragma once

#include <algorithm>

#include "losses.hpp"
#include "rows.hpp"
#include "stages/columns.hpp"
#include "stages/stage.hpp"

namespace pellucid::PELLUCID_LEVEL {

// X of some examples, arranged as `shape` says.
template <class T>
class Gather {
 public:
  Gather(const Rows& X, const std::int64_t* examples, int count, int width,
         const stages::Shape& shape, T* to)
      : X_(X), examples_(examples), count_(count), width_(width), shape_(shape), to_(to) {}

  void run() const {
    if (X_.sparse) return scatter();
    X_.with_numbers([this](const auto* values) { dense(values); });
  }

 private:
  int row(int k) const { return plain() ? k : shape_.row_of(k); }
  bool plain() const { return !shape_.channels_first || shape_.channels == 1; }

  template <class S>
  void dense(const S* values) const {
    const std::ptrdiff_t next = X_.feature_stride;
    if constexpr (std::is_same_v<S, T>) {
      if (next == 1) {
        const T* from[MOST_WIDE];
        for (int e = 0; e < count_; ++e) from[e] = values + examples_[e] * X_.example_stride;
        return into_columns(
            from, count_, shape_.n(), width_, [this](int k) { return row(k); }, to_);
      }
    }
    for (int k = 0; k < shape_.n(); ++k) {
      T* to = to_ + size_t(row(k)) * width_;
      for (int e = 0; e < width_; ++e)
        to[e] = e < count_ ? T(values[examples_[e] * X_.example_stride + k * next]) : T(0);
    }
  }

  void scatter() const {
    std::fill_n(to_, size_t(shape_.n()) * width_, T(0));
    X_.with_values([this](auto number) {
      for (int e = 0; e < count_; ++e) {
        const auto entries = X_.entries<decltype(number)>(examples_[e]);
        for (std::ptrdiff_t at = 0; at < entries.n; ++at)
          to_[size_t(row(entries.inputs[at])) * width_ + e] += T(entries.values[at]);
      }
    });
  }

  const Rows& X_;
  const std::int64_t* examples_;
  int count_, width_;
  const stages::Shape& shape_;
  T* to_;
};

// The end of a slice: A[L], the loss and dZ[L] of its examples from Z[L], step by step where the
// output is a sequence, place by place of a volume. The loss is the mean over those that are there.
template <class T>
class SliceEnd {
 public:
  // `shape` is that of Z, (shape.n(), width); `lengths` are the steps of each example, or null.
  SliceEnd(const LossSpec<T>& spec, const stages::Shape& shape, int width, int count,
           const std::int32_t* lengths, const T* Z, T* scratch)
      : spec_(spec),
        shape_(shape),
        steps_(shape.places()),
        n_(shape.channels),
        width_(width),
        count_(count),
        lengths_(lengths),
        Z_(Z) {
    const size_t stride = stride_of(shape);
    for (int e = 0; e < MOST_WIDE; ++e) {
      z_[e] = scratch + e * stride;
      a_[e] = scratch + (MOST_WIDE + e) * stride;
      dz_[e] = scratch + (2 * MOST_WIDE + e) * stride;
    }
    stride_ = stride;
  }

  static size_t scratch(const stages::Shape& shape) { return 3 * MOST_WIDE * stride_of(shape); }

  // Of the examples with these numbers: A[L] into `out`, n[L] numbers an example in the lectures'
  // order, padded steps 0; where there is Y, each one's loss times its weight, and its derivative
  // divided by the total weight into dZ. `out` and dZ may be null.
  void run(const Targets<T>* Y, const std::int64_t* examples, const double* weights,
           double total_weight, double* losses, T* dZ, T* out) const {
    std::fill_n(losses, count_, 0.0);
    for (int step = 0; step < steps_; ++step) {
      out_of_columns(Z_, count_, n_, width_, rows(step), z_);
      if (Y)
        lose(*Y, step, examples, weights, total_weight, losses, dZ != nullptr);
      else
        loss_rows(spec_, n_, rows_of_loss());
      if (dZ) into_columns<T>(dz_, count_, n_, width_, rows(step), dZ);
      if (out) write(step, out);
    }
  }

 private:
  static size_t stride_of(const stages::Shape& shape) {
    return size_t(shape.channels + PANEL<T> - 1) / PANEL<T> * PANEL<T>;
  }
  auto rows(int step) const {
    return [this, step](int k) { return shape_.row_of(step * n_ + k); };
  }
  LossRows<T> rows_of_loss() const {
    return {count_, stride_, z_[0], a_[0], nullptr, nullptr, nullptr, nullptr, nullptr};
  }

  // The part of one step.
  void lose(const Targets<T>& Y, int step, const std::int64_t* examples, const double* weights,
            double total_weight, double* losses, bool back) const {
    const T* y[MOST_WIDE];
    Label<T> labels[MOST_WIDE];
    T shares[MOST_WIDE];
    double each[MOST_WIDE], factors[MOST_WIDE];
    for (int e = 0; e < count_; ++e) {
      const int left = lengths_ ? lengths_[e] : steps_;
      const std::int64_t at = examples[e] * steps_ + step;
      factors[e] = step < left ? (weights ? weights[examples[e]] : 1) / left : 0;
      y[e] = Y.values ? Y.values + at * n_ : nullptr;
      labels[e] = Y.labels && step < left ? Label<T>(Y.labels[at]) : Label<T>(Y.labels ? 0 : -1);
      shares[e] = T(factors[e] / total_weight);
    }
    LossRows<T> all = rows_of_loss();
    all.y = Y.values ? y : nullptr;
    all.labels = labels;
    all.weights = shares;
    all.losses = each;
    all.dz = back ? dz_[0] : nullptr;
    loss_rows(spec_, n_, all);
    for (int e = 0; e < count_; ++e)
      if (factors[e] != 0) losses[e] += factors[e] * each[e];
  }

  void write(int step, T* out) const {
    for (int e = 0; e < count_; ++e) {
      T* const to = out + size_t(e) * shape_.n() + size_t(step) * n_;
      if (lengths_ && step >= lengths_[e])
        std::fill_n(to, n_, T(0));
      else
        std::copy_n(a_[e], n_, to);
    }
  }

  const LossSpec<T>& spec_;
  const stages::Shape& shape_;
  int steps_, n_, width_, count_;
  const std::int32_t* lengths_;
  const T* Z_;
  size_t stride_;
  T *z_[MOST_WIDE], *a_[MOST_WIDE], *dz_[MOST_WIDE];
};

}  // namespace pellucid::PELLUCID_LEVEL
