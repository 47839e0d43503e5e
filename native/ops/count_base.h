#pragma once
// The scalar part of the count ops, in float64: what is done once a row, the same for every backend. Forced
// inline as core/views.h says; compiled for GPUs too.

#include <math.h>

#include "ops/ops.h"

namespace ddsc {

/// Least mean of a base.
inline constexpr double kLeastMean = 1e-8;

/// Whether a gradient moves this logarithm of a size; not where it is clamped.
DDSC_INLINE bool movesSize(float logSize) { return logSize <= kMostLogSize && logSize >= -kMostLogSize; }

/// The size of a gene counted at `counted`. NaN stays.
DDSC_INLINE double learntSize(double counted, float logSize) {
  const float clamped = logSize > kMostLogSize    ? kMostLogSize
                        : logSize < -kMostLogSize ? -kMostLogSize
                                                  : logSize;
  return counted * ::exp(static_cast<double>(clamped));
}

/// The negative binomial of a row: the base of value k is table[place, k] - perRow - middle[k] perCount.
struct RowBase {
  double mean, size;
  double perRow;    // size log1p(mean / size)
  double perCount;  // log1p(size / mean)
  /// d base[k] / d tilt = perTilt middle[k] + a constant; 0 where the tilt or the mean is clamped.
  double perTilt;
  /// d base[k] / d log size = slope[place, k] - perSize middle[k] + a constant.
  double perSize;  // size / (size + mean)

  DDSC_INLINE double at(double table, double middle) const { return table - perRow - middle * perCount; }
};

/// The base of a row of this tilt, before the clamp; `rate` is its cell's depth times its gene's share. NaN
/// stays.
DDSC_INLINE RowBase rowBase(double tilt, double rate, double size) {
  constexpr double kMost = kMostTilt;
  const double clamped = tilt > kMost ? kMost : tilt < -kMost ? -kMost : tilt;
  const double asked = rate * ::exp(clamped);
  const double mean = asked < kLeastMean ? kLeastMean : asked;
  const bool moves = tilt <= kMost && tilt >= -kMost && asked >= kLeastMean;
  const double perSize = size / (size + mean);
  return {mean, size, size * ::log1p(mean / size), ::log1p(size / mean), moves ? perSize : 0, perSize};
}

/// A row's distribution over values, relative to the most probable one: e_k = exp(x_k - maximum), and e_best
/// = 1 is kept out of the sum, so that how little the others hold is known to the last bits.
struct CountSums {
  double maximum;
  std::int64_t best;
  double rest;  // sum of e_k, k != best

  DDSC_INLINE double total() const { return 1 + rest; }
  /// log p of the value of this x.
  DDSC_INLINE double logProbability(double x) const { return x - maximum - ::log1p(rest); }
  /// 1 - p of the value of this e, free of cancellation.
  DDSC_INLINE double othersOf(std::int64_t value, double e) const {
    return (value == best ? rest : 1 + (rest - e)) / total();
  }
};

/// p(count + 1) / p(count) of a row's negative binomial; `odds` is mean / (mean + size).
DDSC_INLINE double ratioAbove(std::int32_t count, const RowBase& of, double odds) {
  return (static_cast<double>(count) + of.size) / (static_cast<double>(count) + 1) * odds;
}

/// One of the counts low .. end - 1 by their probabilities under the row's negative binomial: the first at
/// which the running sum passes the share `uniform` of all; if rounding lets none, the last possible one.
/// Relative to the most probable count's, by the ratios of neighbours, so that nothing overflows; counts
/// below it of less than 1e-300 are never drawn.
DDSC_INLINE std::int32_t countOfBin(std::int32_t low, std::int32_t end, const RowBase& of, double uniform) {
  if (end - low <= 1) return low;
  constexpr double kLeast = 1e-300;
  const double odds = of.mean / (of.mean + of.size);
  // The ratio of a count to the one below falls, and is 1 here.
  const double turn = of.mean - of.mean / of.size;
  const std::int32_t mode = !(turn > low) ? low : turn >= end ? end - 1 : static_cast<std::int32_t>(turn);
  double total = 1, weight = 1;
  std::int32_t first = mode;
  double ofFirst = 1;
  while (first > low) {
    const double below = ofFirst / ratioAbove(first - 1, of, odds);
    if (!(below > kLeast)) break;
    ofFirst = below;
    total += below;
    --first;
  }
  for (std::int32_t count = mode; count + 1 < end && weight > 0; ++count) {
    weight *= ratioAbove(count, of, odds);
    total += weight;
  }
  const double point = uniform * total;
  double running = 0;
  std::int32_t drawn = first;
  weight = ofFirst;
  for (std::int32_t count = first; count < end && weight > 0; ++count) {
    running += weight;
    drawn = count;
    if (running > point) break;
    weight *= ratioAbove(count, of, odds);
  }
  return drawn;
}

}  // namespace ddsc
