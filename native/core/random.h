#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11). One definition for every backend and,
// word for word, for lib/base/random.ts. A number is a pure function of (seed, purpose, step, cell,
// position), so masks, dropout and draws do not depend on batch split, thread count or device.
//
// Key:     word 0 = seed bits 0..31, word 1 = seed bits 32..52 | site << 21 (site < 2048; 0 but for dropout,
// where it
//          numbers the place in the network).
// Counter: word 0 = position (dropout: position << 12 | column / 4), word 1 = cell bits 0..31, word 2 = step
// bits 0..31,
//          word 3 = purpose << 24 | cell bits 32..43 << 12 | step bits 32..43.

#include <cstdint>

#include "core/views.h"

namespace ddsc {

/// What a stream is for; streams of different purposes never meet. Shared with lib/base/random.ts.
enum class Purpose : std::uint32_t {
  initialise = 1,
  mask = 2,
  dropout = 3,
  draw = 4,
  time = 5,
  geneSample = 6,
  shuffle = 7,
  split = 8,
  simulate = 9,
  reveal = 10,
  hide = 11,
  query = 12,
  thin = 13,
  drop = 14,
};

struct PhiloxBlock {
  std::uint32_t word[4];
};

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;

/// Names a stream: everything of the counter and the key but the position.
struct Stream {
  std::uint32_t key0, key1, cell, step, tail;

  DDSC_INLINE Stream(std::uint64_t seed, Purpose purpose, std::uint64_t stepNumber, std::uint64_t cellIndex,
                     std::uint32_t site = 0)
      : key0(static_cast<std::uint32_t>(seed)),
        key1((static_cast<std::uint32_t>(seed >> 32) & 0x1FFFFFu) | site << 21),
        cell(static_cast<std::uint32_t>(cellIndex)),
        step(static_cast<std::uint32_t>(stepNumber)),
        tail(static_cast<std::uint32_t>(purpose) << 24 |
             (static_cast<std::uint32_t>(cellIndex >> 32) & 0xFFFu) << 12 |
             (static_cast<std::uint32_t>(stepNumber >> 32) & 0xFFFu)) {}
};

/// The four 32-bit words at `position` of a stream.
DDSC_INLINE PhiloxBlock philox(const Stream& stream, std::uint32_t position) {
  std::uint32_t x0 = position, x1 = stream.cell, x2 = stream.step, x3 = stream.tail;
  std::uint32_t k0 = stream.key0, k1 = stream.key1;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(kPhiloxM0) * x0;
    const std::uint64_t p1 = static_cast<std::uint64_t>(kPhiloxM1) * x2;
    const std::uint32_t y0 = static_cast<std::uint32_t>(p1 >> 32) ^ x1 ^ k0;
    const std::uint32_t y2 = static_cast<std::uint32_t>(p0 >> 32) ^ x3 ^ k1;
    x0 = y0;
    x1 = static_cast<std::uint32_t>(p1);
    x2 = y2;
    x3 = static_cast<std::uint32_t>(p0);
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  return {{x0, x1, x2, x3}};
}

/// Uniform in [0, 1) with 53 bits, from two words.
DDSC_INLINE double uniform53(std::uint32_t a, std::uint32_t b) {
  return (static_cast<double>(a >> 5) * 67108864.0 + static_cast<double>(b >> 6)) *
         (1.0 / 9007199254740992.0);
}

/// A word below this threshold is an event of probability p (rounded to a multiple of 2^-32; p = 1 is
/// certain).
DDSC_INLINE std::uint64_t threshold32(double p) { return static_cast<std::uint64_t>(p * 4294967296.0 + 0.5); }

}  // namespace ddsc
