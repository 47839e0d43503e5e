#pragma once
#include <algorithm>

#include "core/views.h"

namespace ddsc {

/// Index of the first value that is not finite, -1 if there is none. In blocks without a branch, which
/// compilers turn into vector instructions: as fast as memory.
inline std::int64_t firstNotFinite(Span<const float> values) {
  constexpr std::int64_t kBlock = 1024;
  constexpr std::uint32_t kExponent = 0x7F800000;
  const auto bits = [](float value) { return __builtin_bit_cast(std::uint32_t, value) & kExponent; };
  for (std::int64_t first = 0; first < values.size; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, values.size);
    std::uint32_t found = 0;
    for (std::int64_t i = first; i < end; ++i) found |= bits(values[i]) == kExponent ? 1U : 0U;
    if (found == 0) continue;
    for (std::int64_t i = first; i < end; ++i)
      if (bits(values[i]) == kExponent) return i;
  }
  return -1;
}

}  // namespace ddsc
