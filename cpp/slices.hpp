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
    switch (X_.kind) {
      case Rows::F32:
        return dense(static_cast<const float*>(X_.values));
      case Rows::F64:
        return dense(static_cast<const double*>(X_.values));
      case Rows::U8:
        return dense(static_cast<const std::uint8_t*>(X_.values));
      case Rows::I32:
        return dense(static_cast<const std::int32_t*>(X_.values));
      case Rows::I64:
        return dense(static_cast<const std::int64_t*>(X_.values));
    }
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

  // Each example's loss times its weight; where `dZ` is not null, also its derivative, divided by
  // the total weight.
  void lose(const Targets<T>& Y, const std::int64_t* examples, const double* weights,
            double total_weight, T* dZ, double* losses) const {
    std::fill_n(losses, count_, 0.0);
    for (int step = 0; step < steps_; ++step) {
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
      enter(step);
      loss_rows(spec_, n_,
                LossRows<T>{count_, stride_, z_[0], a_[0], Y.values ? y : nullptr, labels, shares,
                            each, dZ ? dz_[0] : nullptr});
      for (int e = 0; e < count_; ++e)
        if (factors[e] != 0) losses[e] += factors[e] * each[e];
      if (dZ) leave(step, dZ);
    }
  }

  // A[L], n[L] numbers an example in the lectures' order; padded steps are 0.
  void outputs(T* out) const {
    for (int step = 0; step < steps_; ++step) {
      enter(step);
      loss_rows(
          spec_, n_,
          LossRows<T>{count_, stride_, z_[0], a_[0], nullptr, nullptr, nullptr, nullptr, nullptr});
      for (int e = 0; e < count_; ++e) {
        T* const to = out + size_t(e) * shape_.n() + size_t(step) * n_;
        if (lengths_ && step >= lengths_[e])
          std::fill_n(to, n_, T(0));
        else
          std::copy_n(a_[e], n_, to);
      }
    }
  }

 private:
  static size_t stride_of(const stages::Shape& shape) {
    return size_t(shape.channels + PANEL<T> - 1) / PANEL<T> * PANEL<T>;
  }
  auto rows(int step) const {
    return [this, step](int k) { return shape_.row_of(step * n_ + k); };
  }
  void enter(int step) const { out_of_columns(Z_, count_, n_, width_, rows(step), z_); }
  void leave(int step, T* dZ) const { into_columns<T>(dz_, count_, n_, width_, rows(step), dZ); }

  const LossSpec<T>& spec_;
  const stages::Shape& shape_;
  int steps_, n_, width_, count_;
  const std::int32_t* lengths_;
  const T* Z_;
  size_t stride_;
  T *z_[MOST_WIDE], *a_[MOST_WIDE], *dz_[MOST_WIDE];
};

}  // namespace pellucid::PELLUCID_LEVEL
