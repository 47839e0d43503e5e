#pragma once
// Masking noise q(xt | x0). Drawn on the host for every backend: the number of masked rows shapes the step's
// buffers, so a device that drew it would have to wait for the host anyway.

#include <cstdint>

#include "core/views.h"

namespace ddsc {

/// xt[i] = mask with probability moveChance[cell], else x0[i]; special positions (x0 < firstValue) are never
/// masked. Word 0 of Stream(seed, Purpose::mask, step, cellIndex) at the token's position decides.
struct MaskNoise {
  Span<const std::int32_t> tokens;  // [rows] x0
  Ragged cells;                     // all rows of each cell
  Span<const double> moveChance;    // [cells], 0..1
  std::uint64_t seed = 0, step = 0;
  std::int32_t firstValue = 2, mask = 53;
  Span<std::int32_t> noisy;  // [rows] xt
};

void run(const MaskNoise& op);

}  // namespace ddsc
