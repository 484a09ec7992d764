// Examples and targets where the caller keeps them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sparse.hpp"

namespace pellucid::PELLUCID_LEVEL {

// Examples where the caller keeps them: dense with strides in elements, or sparse with the entries
// of an example together (CSC of X, CSR of rows), whose values are the session's T.
struct Rows {
  enum Kind { F32, F64, U8, I32, I64 };
  Kind kind = F32;
  int number_size() const { return kind == U8 ? 1 : kind == F32 || kind == I32 ? 4 : 8; }
  const void* values = nullptr;
  std::ptrdiff_t example_stride = 0, feature_stride = 1;
  bool sparse = false;
  const std::int32_t* inputs = nullptr;  // which each entry belongs to
  const std::int64_t* starts =
      nullptr;                // of each example among the entries, one more than examples
  std::int64_t examples = 0;  // all that there are
  const std::int64_t* lengths = nullptr;  // steps of each example that are there; null: all

  template <class T>
  Entries<T> entries(std::int64_t example) const {
    const std::int64_t at = starts[example];
    return {static_cast<const T*>(values) + at, inputs + at, starts[example + 1] - at};
  }
};

// Whether sparse products pay: an entry takes as long as so many numbers of a dense example.
constexpr double TIMES_AS_LONG = 8;
inline bool worth_sparse(std::int64_t entries, std::int64_t examples, int n_in) {
  return TIMES_AS_LONG * double(entries) <= double(examples) * n_in;
}

template <class T>
struct Targets {
  const T* values = nullptr;  // n[L] numbers an example, or null
  const std::int64_t* labels = nullptr;
};

}  // namespace pellucid::PELLUCID_LEVEL
