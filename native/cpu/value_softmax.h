#pragma once
// Softmax over the tokens that are values (firstValue .. mask - 1), the common first step of losses and
// statistics. For files of cpu/ops/ only (compiled once per instruction set).

#include <math.h>

#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {

/// log(e^a + e^b) without overflow.
DDSC_INLINE double logAddExp(double a, double b) {
  const double high = a > b ? a : b, low = a > b ? b : a;
  return low == high ? high + 0.6931471805599453 : high + ::log1p(::exp(low - high));
}

/// Sums over a row's values, relative to the largest logit: e_k = exp(logit_k - maximum).
struct ValueSums {
  double maximum;
  double total;   // sum of e_k
  double moment;  // sum of e_k (k - origin)

  DDSC_INLINE double logTotal() const { return maximum + ::log(total); }
};

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

/// log of the sum of exp(logit) over every token but the mask, from the sums over the values.
DDSC_INLINE double logTotalBelowMask(const float* logits, std::int64_t firstValue, const ValueSums& values) {
  double total = values.logTotal();
  for (std::int64_t token = 0; token < firstValue; ++token)
    total = logAddExp(total, static_cast<double>(logits[token]));
  return total;
}

/// log(expm1(sigma)), exact to the last bits for small and large sigma.
DDSC_INLINE double logExpm1(double sigma) {
  return sigma > 1 ? sigma + ::log1p(-::exp(-sigma)) : ::log(::expm1(sigma));
}

}  // namespace ddsc::cpu::DDSC_ISA
