// The order of the examples in an epoch, as philox.permutation in src/pellucid/philox.py defines
// it: the stable argsort of one 64-bit draw a row.
#pragma once

#include <cstring>
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

  // A row is the upper half of its draw, then its number. Besides `out` this is all the memory that
  // is needed: lower halves count only between equal upper ones, and are drawn again there.
  using Row = std::uint64_t;
  const std::unique_ptr<Row[]> rows(new Row[count]);
  Row *from = rows.get(), *to = reinterpret_cast<Row*>(out);
  const int passes = count > FEW_ROWS ? 2 : 0;
  std::size_t places[2][BUCKETS];
  if (passes) std::memset(places, 0, sizeof places);
  constexpr std::size_t BLOCK = 2048;
  std::uint32_t words[2 * BLOCK];
  for (std::size_t first = 0; first < count; first += BLOCK) {
    const std::size_t n = count - first < BLOCK ? count - first : BLOCK;
    philox_words(words, 2 * first, 2 * n, 0, step, stream, seed);
    for (std::size_t i = 0; i < n; ++i) {
      const Row draw = words[2 * i];
      from[first + i] = draw << 32 | (first + i);
      if (!passes) continue;
      ++places[0][draw >> (32 - 2 * BITS) & (BUCKETS - 1)];
      ++places[1][draw >> (32 - BITS)];
    }
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
  const auto lower = [&](Row row) {
    std::uint32_t word;
    philox_words(&word, 2 * std::size_t(number(row)) + 1, 1, 0, step, stream, seed);
    return word;
  };
  const auto after = [&](Row a, Row b) { return a >> 32 != b >> 32 ? a > b : lower(a) > lower(b); };
  for (std::size_t i = 1; i < count; ++i) {
    const Row row = from[i];
    std::size_t at = i;
    for (; at > 0 && after(from[at - 1], row); --at) from[at] = from[at - 1];
    from[at] = row;
  }
  for (std::size_t i = 0; i < count; ++i) out[i] = number(from[i]);
}

}  // namespace pellucid::PELLUCID_LEVEL
