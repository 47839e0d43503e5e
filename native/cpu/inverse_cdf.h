#pragma once
// The draw of a categorical distribution by the inverse of its cumulative weights, in float64. For files of
// cpu/ops/ only (compiled once per instruction set).

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

/// The first i at which the running sum of the weights passes `point`; if rounding lets none, the last of
/// positive weight; `count` if there is none.
DDSC_INLINE std::int64_t invert(const double* weights, std::int64_t count, double point) {
  double running = 0;
  std::int64_t last = count;
  for (std::int64_t i = 0; i < count; ++i) {
    if (!(weights[i] > 0)) continue;
    running += weights[i];
    last = i;
    if (running > point) break;
  }
  return last;
}

}  // namespace ddsc::cpu::DDSC_ISA
