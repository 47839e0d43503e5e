#pragma once
// Softmax over the tokens that are values (firstValue .. mask - 1) of a warp's row of logits.

#include "cuda/ops/elements.cuh"
#include "ops/objectives.h"

namespace ddsc::cuda {

/// body(token) for this lane's tokens among first .. end - 1.
template <class Body>
DDSC_DEVICE void eachToken(std::int64_t first, std::int64_t end, const Body& body) {
  for (std::int64_t token = first + laneIndex(); token < end; token += kWarpSize) body(token);
}

/// Sums over logits[firstValue .. mask), in every lane.
DDSC_DEVICE ValueSums sumValues(Global<const float> logits, std::int64_t firstValue, std::int64_t mask,
                                std::int64_t origin) {
  float highest = -INFINITY;
  eachToken(firstValue, mask, [&](std::int64_t token) {
    const float logit = logits[token];
    highest = logit > highest ? logit : highest;
  });
  highest = warpMaximum(highest);
  float total = 0, moment = 0;
  eachToken(firstValue, mask, [&](std::int64_t token) {
    const float e = expf(logits[token] - highest);
    total += e;
    moment = fusedMultiplyAdd(e, static_cast<float>(token - origin), moment);
  });
  return {static_cast<double>(highest), static_cast<double>(warpSum(total)),
          static_cast<double>(warpSum(moment))};
}

}  // namespace ddsc::cuda
