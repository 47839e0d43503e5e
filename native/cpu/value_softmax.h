#pragma once
// Softmax over the tokens that are values (firstValue .. mask - 1), the common first step of losses and
// statistics. For files of cpu/ops/ only (compiled once per instruction set).

#include "cpu/sweep.h"
#include "ops/objectives.h"

namespace ddsc::cpu::DDSC_ISA {

/// 0, or NaN where one of the values is not finite.
DDSC_INLINE float zeroOrNaN(const float* values, std::int64_t count) {
  float sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += ddsc::zeroOrNaN(values[i]);
  return sum;
}

/// Sums over logits[firstValue .. mask); writes e_k to exponentials[k - firstValue].
DDSC_INLINE ValueSums sumValues(const float* logits, std::int64_t firstValue, std::int64_t mask,
                                std::int64_t origin, float* exponentials) {
  const float* values = logits + firstValue;
  const std::int64_t count = mask - firstValue;
  const F lowest = set1(-__builtin_inff());
  F highest = lowest;
  eachVector(count, [&](std::int64_t i, auto lanes) {
    highest = max(keep(load(values + i, lanes), lowest, lanes), highest);
  });
  const float maximumLogit = maximum(highest);
  const F shift = set1(maximumLogit);
  F total = zero(), moment = zero();
  F distance = toFloat(iota()) + set1(static_cast<float>(firstValue - origin));
  eachVector(count, [&](std::int64_t i, auto lanes) {
    const F e = keep(exp(load(values + i, lanes) - shift), zero(), lanes);
    store(exponentials + i, e, lanes);
    total = total + e;
    moment = fma(e, distance, moment);
    distance = distance + set1(static_cast<float>(kWidth));
  });
  return {static_cast<double>(maximumLogit), static_cast<double>(sum(total)),
          static_cast<double>(sum(moment))};
}

}  // namespace ddsc::cpu::DDSC_ISA
