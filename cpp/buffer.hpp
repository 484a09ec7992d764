// Memory for numbers, as vectors and caches like it.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

using std::size_t;

// Memory that buffers gave back, for those to come: each prediction of some rows makes a session,
// and would else ask the system for the same pages anew. Of use only while the lock is free.
class Spare {
 public:
  void* take(size_t bytes) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return nullptr;
    for (size_t k = count_; k-- > 0;)
      if (blocks_[k].bytes == bytes) {
        void* const found = std::exchange(blocks_[k], blocks_[--count_]).memory;
        bytes_ -= bytes;
        return found;
      }
    return nullptr;
  }

  bool keep(void* memory, size_t bytes) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || count_ == MOST || bytes_ + bytes > MOST_BYTES) return false;
    blocks_[count_++] = {memory, bytes};
    bytes_ += bytes;
    return true;
  }

 private:
  static constexpr size_t MOST = 32, MOST_BYTES = size_t(4) << 20;
  struct Block {
    void* memory;
    size_t bytes;
  };

  std::mutex mutex_;
  Block blocks_[MOST];
  size_t count_ = 0, bytes_ = 0;
};

// Never destroyed: buffers may outlive what a program ends with.
inline Spare& spare() {
  static Spare& all = *new Spare;
  return all;
}

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
    void* memory = large ? nullptr : spare().take(bytes);
    if (!memory) memory = ::operator new(bytes, alignment);
    data_ = {static_cast<T*>(memory), Free{alignment, large ? 0 : bytes}};
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
    size_t bytes = 0;  // 0: too many to keep
    void operator()(T* p) const {
      if (!bytes || !spare().keep(p, bytes)) ::operator delete(static_cast<void*>(p), alignment);
    }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace pellucid::PELLUCID_LEVEL
