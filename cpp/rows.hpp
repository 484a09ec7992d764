// X as a session is handed it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sparse.hpp"

namespace pellucid::PELLUCID_LEVEL {

// Examples where the caller keeps them: dense with strides in elements, or sparse with the entries
// of an example together (CSC of X, CSR of rows), whose values are floats or doubles.
struct Rows {
  enum Kind { F32, F64, U8, I32, I64 };
  Kind kind = F32;
  const void* values = nullptr;
  std::ptrdiff_t example_stride = 0, feature_stride = 1;
  bool sparse = false;
  const std::int32_t* inputs = nullptr;   // which each entry belongs to
  const std::int64_t* starts = nullptr;   // of each example among the entries, and the end
  std::int64_t examples = 0;              // all that there are
  const std::int64_t* lengths = nullptr;  // steps of each example that are there; null: all

  int number_size() const { return kind == U8 ? 1 : kind == F32 || kind == I32 ? 4 : 8; }

  template <class S>
  Entries<S> entries(std::int64_t example) const {
    const std::int64_t at = starts[example];
    return {static_cast<const S*>(values) + at, inputs + at, starts[example + 1] - at};
  }

  // Call f with the values as what they are.
  template <class F>
  void with_numbers(F f) const {
    switch (kind) {
      case F32:
        return f(static_cast<const float*>(values));
      case F64:
        return f(static_cast<const double*>(values));
      case U8:
        return f(static_cast<const std::uint8_t*>(values));
      case I32:
        return f(static_cast<const std::int32_t*>(values));
      case I64:
        return f(static_cast<const std::int64_t*>(values));
    }
  }

  // Call f with a number of the type of the entries' values.
  template <class F>
  void with_values(F f) const {
    kind == F32 ? f(float()) : f(double());
  }
};

template <class T>
struct Targets {
  const T* values = nullptr;  // n[L] numbers an example, or null
  const std::int64_t* labels = nullptr;
};

// Whether sparse products pay: an entry takes as long as so many numbers of a dense example.
constexpr double TIMES_AS_LONG = 8;
inline bool worth_sparse(std::int64_t entries, std::int64_t examples, int n_in) {
  return TIMES_AS_LONG * double(entries) <= double(examples) * n_in;
}

// Which examples a session saw last: those that come again, as in full-batch training, are packed
// once. It goes by the caller's arrays, and by a copy of the order, which a caller may write into;
// that the numbers of X stay as they are is the caller's promise.
class SameExamples {
 public:
  bool are(const Rows& X, const std::int64_t* order, std::int64_t m) const {
    return values_ == X.values && example_stride_ == X.example_stride &&
           feature_stride_ == X.feature_stride && kind_ == X.kind && m_ == m &&
           ordered_ == (order != nullptr) &&
           (!order || std::equal(order, order + m, order_.data()));
  }

  void note(const Rows& X, const std::int64_t* order, std::int64_t m) {
    values_ = X.values;
    example_stride_ = X.example_stride;
    feature_stride_ = X.feature_stride;
    kind_ = X.kind;
    m_ = m;
    ordered_ = order != nullptr;
    order_.assign(order, order ? order + m : order);
  }

  void forget() { values_ = nullptr; }

 private:
  const void* values_ = nullptr;
  std::ptrdiff_t example_stride_ = 0, feature_stride_ = 0;
  Rows::Kind kind_ = Rows::F32;
  std::int64_t m_ = 0;
  bool ordered_ = false;
  std::vector<std::int64_t> order_;
};

}  // namespace pellucid::PELLUCID_LEVEL
