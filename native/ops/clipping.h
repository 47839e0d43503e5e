#pragma once
// By how much a gradient is scaled down, as both backends reckon it.

#include <math.h>

#include "core/views.h"

namespace ddsc {

/// PyTorch's clip_grad_norm_: maxNorm / (norm + 1e-6), at most 1; 1 where maxNorm is 0. `squares` is the sum
/// of the gradient's squares.
DDSC_INLINE double clipping(double squares, double maxNorm) {
  if (!(maxNorm > 0)) return 1.0;
  const double factor = maxNorm / (::sqrt(squares) + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

}  // namespace ddsc
