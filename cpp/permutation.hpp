// The order of the examples in an epoch, as philox.permutation in src/pellucid/philox.py defines
// it: the stable argsort of one 64-bit draw a row.
#pragma once

#include <memory>
#include <utility>

#include "philox.hpp"

namespace pellucid::PELLUCID_LEVEL {

// Rows are less than 2^32. Two passes of a radix sort go by the upper 22 bits of the draws, and as
// these are uniform a row then stands next to its place: an insertion sort does the rest.
inline void permutation(std::int64_t* out, std::size_t count, std::uint32_t step,
                        std::uint32_t stream, std::uint64_t seed) {
  constexpr int BITS = 11, BUCKETS = 1 << BITS;
  constexpr std::size_t FEW_ROWS = 100;  // the insertion sort alone is quicker
  const std::unique_ptr<std::uint32_t[]> words(new std::uint32_t[2 * count]);
  philox_words(words.get(), 0, 2 * count, 0, step, stream, seed);

  // A row is the upper half of its draw, then its number.
  using Row = std::uint64_t;
  const std::unique_ptr<Row[]> rows(new Row[2 * count]);
  Row *from = rows.get(), *to = from + count;
  const int passes = count > FEW_ROWS ? 2 : 0;
  std::size_t places[2][BUCKETS];
  if (passes) std::memset(places, 0, sizeof places);
  for (std::size_t i = 0; i < count; ++i) {
    const Row draw = words[2 * i];
    from[i] = draw << 32 | i;
    if (!passes) continue;
    ++places[0][draw >> (32 - 2 * BITS) & (BUCKETS - 1)];
    ++places[1][draw >> (32 - BITS)];
  }
  for (int pass = 0; pass < passes; ++pass) {
    std::size_t* const place = places[pass];
    for (std::size_t k = 0, sum = 0; k < BUCKETS; ++k) {
      const std::size_t here = place[k];
      place[k] = sum;
      sum += here;
    }
    const int shift = 64 - (2 - pass) * BITS;
    for (std::size_t i = 0; i < count; ++i) to[place[from[i] >> shift & (BUCKETS - 1)]++] = from[i];
    std::swap(from, to);
  }

  const auto number = [](Row row) { return std::uint32_t(row); };
  const auto after = [&](Row a, Row b) {
    if (a >> 32 != b >> 32) return a > b;
    return words[2 * std::size_t(number(a)) + 1] > words[2 * std::size_t(number(b)) + 1];
  };
  for (std::size_t i = 1; i < count; ++i) {
    const Row row = from[i];
    std::size_t at = i;
    for (; at > 0 && after(from[at - 1], row); --at) from[at] = from[at - 1];
    from[at] = row;
  }
  for (std::size_t i = 0; i < count; ++i) out[i] = number(from[i]);
}

}  // namespace pellucid::PELLUCID_LEVEL
