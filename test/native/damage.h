#pragma once
// Damaged bytes for decoders that must survive them.

#include <cstdint>
#include <random>
#include <vector>

#include "core/errors.h"

namespace ddsc::test {

using Buffer = std::vector<std::uint8_t>;

/// Runs `decode` on every kind of damage; it may succeed or throw a ddsc::Error, and must not touch other
/// memory, which the sanitizers watch.
template <class Decode>
void damageAndDecode(const Buffer& whole, const Decode& decode) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    Buffer damaged = whole;
    if (round % 3 == 0) damaged.resize(random() % (whole.size() + 1));
    for (std::size_t changes = random() % 4; changes > 0 && !damaged.empty(); --changes) {
      damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    }
    // A copy of exactly this size, so that reading one byte too many shows.
    const Buffer exact(damaged.begin(), damaged.end());
    try {
      decode(exact);
    } catch (const Error&) {
    }
  }
}

}  // namespace ddsc::test
