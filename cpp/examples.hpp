// Examples and targets where the caller keeps them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

// Examples where the caller keeps them: dense with strides in elements, or sparse with the nonzeros
// of an example together (CSC of X, CSR of rows).
struct Rows {
  enum Kind { F32, F64, U8, I32, I64 };
  Kind kind = F32;
  const void* values = nullptr;
  std::ptrdiff_t example_stride = 0, feature_stride = 1;
  bool sparse = false, wide_indices = false;  // wide: 64-bit indices
  const void* indices = nullptr;
  const void* starts = nullptr;  // of each example among the nonzeros, one more than examples
  const std::int64_t* lengths = nullptr;  // steps of each example that are there; null: all
};

template <class T>
struct Targets {
  const T* values = nullptr;  // n[L] numbers an example, or null
  const std::int64_t* labels = nullptr;
};

}  // namespace pellucid::PELLUCID_LEVEL
