// Philox4x32-10, as in src/pellucid/philox.py: key = seed, counter = (element / 4, layer, step,
// stream). Several counters go through the ten rounds together, one in each 64-bit lane.
#pragma once

#include "vec.hpp"

namespace pellucid::PELLUCID_LEVEL {

constexpr std::uint32_t DROPOUT_STREAM = 1;

constexpr std::uint32_t PHILOX_M[2] = {0xD2511F53u, 0xCD9E8D57u};
constexpr std::uint32_t PHILOX_W[2] = {0x9E3779B9u, 0xBB67AE85u};

// What all the counters of a run share.
struct PhiloxPlace {
  std::uint32_t layer, step, stream;
  std::uint64_t seed;
};

// The four words of each of N vectors of consecutive counters, from `counter` on.
template <int N>
PELLUCID_INLINE void philox_block(std::uint32_t* out, std::uint32_t counter,
                                  const PhiloxPlace& place) {
  constexpr int L = LANES<double>;
  using Lanes = UnsignedVec<double>;  // only the lower 32 bits of a lane count, until the end
  const Lanes lane = (Lanes)lane_numbers<double>();
  Lanes x0[N], x1[N], x2[N], x3[N];
  for (int v = 0; v < N; ++v) {
    x0[v] = lane + (counter + std::uint32_t(v * L));
    x1[v] = Lanes{} + place.layer;
    x2[v] = Lanes{} + place.step;
    x3[v] = Lanes{} + place.stream;
  }
  const Lanes m0 = Lanes{} + PHILOX_M[0], m1 = Lanes{} + PHILOX_M[1];
  Lanes key0 = Lanes{} + place.seed, key1 = Lanes{} + (place.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int v = 0; v < N; ++v) {
      const Lanes p0 = wide_product(m0, x0[v]), p1 = wide_product(m1, x2[v]);
      x0[v] = (p1 >> 32) ^ x1[v] ^ key0;
      x1[v] = p1;
      x2[v] = (p0 >> 32) ^ x3[v] ^ key1;
      x3[v] = p0;
    }
    key0 += PHILOX_W[0];
    key1 += PHILOX_W[1];
  }
  for (int v = 0; v < N; ++v) {
    std::uint64_t low[L], high[L];
    const Lanes a = (x0[v] & 0xFFFFFFFFu) | (x1[v] << 32);
    const Lanes b = (x2[v] & 0xFFFFFFFFu) | (x3[v] << 32);
    std::memcpy(low, &a, sizeof a);
    std::memcpy(high, &b, sizeof b);
    for (int i = 0; i < L; ++i) {
      std::memcpy(out + 4 * (v * L + i), low + i, 8);
      std::memcpy(out + 4 * (v * L + i) + 2, high + i, 8);
    }
  }
}

// The words of elements first, first + 1, ..., first + count - 1.
inline void philox_words(std::uint32_t* out, std::size_t first, std::size_t count,
                         std::uint32_t layer, std::uint32_t step, std::uint32_t stream,
                         std::uint64_t seed) {
  constexpr std::size_t words = 4 * LANES<double>;  // of a vector of counters
  const PhiloxPlace place{layer, step, stream, seed};
  const std::size_t last = first + count;
  std::size_t at = first / 4 * 4;  // the first element of the next block
  if (at == first)
    for (; at + 2 * words <= last; at += 2 * words)
      philox_block<2>(out + (at - first), std::uint32_t(at / 4), place);
  for (; at < last; at += words) {
    if (at >= first && at + words <= last) {
      philox_block<1>(out + (at - first), std::uint32_t(at / 4), place);
      continue;
    }
    std::uint32_t block[words];
    philox_block<1>(block, std::uint32_t(at / 4), place);
    const std::size_t begin = at < first ? first - at : 0;
    const std::size_t end = last - at < words ? last - at : words;
    std::memcpy(out + (at + begin - first), block + begin, (end - begin) * sizeof(std::uint32_t));
  }
}

}  // namespace pellucid::PELLUCID_LEVEL
