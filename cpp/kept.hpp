// Which examples a session saw last: those that come again, as in full-batch training, are packed
// once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

// The caller's arrays, and a copy of the order, which a caller may write into. That the numbers of
// X stay as they are is the caller's promise.
class SameExamples {
 public:
  template <class R>
  bool are(const R& X, const std::int64_t* order, std::int64_t m) const {
    return values_ == X.values && example_stride_ == X.example_stride &&
           feature_stride_ == X.feature_stride && kind_ == int(X.kind) && m_ == m &&
           ordered_ == (order != nullptr) &&
           (!order || std::equal(order, order + m, order_.data()));
  }

  template <class R>
  void note(const R& X, const std::int64_t* order, std::int64_t m) {
    values_ = X.values;
    example_stride_ = X.example_stride;
    feature_stride_ = X.feature_stride;
    kind_ = int(X.kind);
    m_ = m;
    ordered_ = order != nullptr;
    order_.assign(order, order ? order + m : order);
  }

  void forget() { values_ = nullptr; }

 private:
  const void* values_ = nullptr;
  std::ptrdiff_t example_stride_ = 0, feature_stride_ = 0;
  int kind_ = 0;
  std::int64_t m_ = 0;
  bool ordered_ = false;
  std::vector<std::int64_t> order_;
};

}  // namespace pellucid::PELLUCID_LEVEL
