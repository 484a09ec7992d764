// Memory for numbers, as vectors and caches like it.
#pragma once

#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

using std::size_t;

// A zeroed array on a cache-line boundary. Large ones ask Linux for its large pages: their parts
// then neither need many entries of the TLB nor fall upon each other in a cache.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t n) : size_(n) {
    if (n == 0) return;
    constexpr size_t LINE = 64, LARGE_PAGE = size_t(2) << 20;
    const bool large = n * sizeof(T) >= LARGE_PAGE / 2;
    const size_t unit = large ? LARGE_PAGE : LINE;
    const size_t bytes = (n * sizeof(T) + unit - 1) / unit * unit;
    const auto alignment = std::align_val_t(unit);
    data_ = {static_cast<T*>(::operator new(bytes, alignment)), Free{alignment}};
#if defined(MADV_HUGEPAGE)
    if (large) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
    std::memset(static_cast<void*>(data_.get()), 0, n * sizeof(T));
  }
  T* get() { return data_.get(); }
  const T* get() const { return data_.get(); }
  T* operator+(size_t i) { return data_.get() + i; }
  const T* operator+(size_t i) const { return data_.get() + i; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  size_t size() const { return size_; }
  T* at(size_t i) { return size_ ? data_.get() + i : nullptr; }

 private:
  struct Free {
    std::align_val_t alignment{};
    void operator()(T* p) const { ::operator delete(static_cast<void*>(p), alignment); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace pellucid::PELLUCID_LEVEL
