#pragma once
// The scalar part of the objectives and draws, in float64: what is done once a row, the same for every
// backend. Forced inline as core/views.h says; compiled for GPUs too.

#include <math.h>

#include "ops/ops.h"

namespace ddsc {

DDSC_INLINE bool isFinite(double value) { return value - value == 0; }

/// 0, or NaN for a value that is not finite: added to a result, it makes that NaN, too.
DDSC_INLINE float zeroOrNaN(float value) { return value * 0; }

/// log(e^a + e^b) without overflow.
DDSC_INLINE double logAddExp(double a, double b) {
  const double high = a > b ? a : b, low = a > b ? b : a;
  return low == high ? high + 0.6931471805599453 : high + ::log1p(::exp(low - high));
}

/// log(expm1(sigma)), exact to the last bits for small and large sigma.
DDSC_INLINE double logExpm1(double sigma) {
  return sigma > 1 ? sigma + ::log1p(-::exp(-sigma)) : ::log(::expm1(sigma));
}

/// Sums over a row's values, relative to the largest logit: e_k = exp(logit_k - maximum).
struct ValueSums {
  double maximum;
  double total;   // sum of e_k
  double moment;  // sum of e_k (k - origin)

  DDSC_INLINE double logTotal() const { return maximum + ::log(total); }
};

/// log of the sum of exp(logit) over every token but the mask, from the sums over the values.
template <class Logits>
DDSC_INLINE double logTotalBelowMask(const Logits& logits, std::int64_t firstValue, const ValueSums& values) {
  double total = values.logTotal();
  for (std::int64_t token = 0; token < firstValue; ++token)
    total = logAddExp(total, static_cast<double>(logits[token]));
  return total;
}

/// An objective's loss of one row and its gradient, both weighted, with p_k = exp(logit_k - logNormaliser):
///   dlogit_k = perProbability p_k + [k = target] atTarget,  k below the mask;  dlogit_mask = atMask.
struct RowTerms {
  double loss;
  double logNormaliser;
  double perProbability, atTarget, atMask;
};

/// What an objective looks at: the row's logits and its cell's noise.
struct ObjectiveRow {
  double target, mask;       // logits
  double logTotalBelowMask;  // log sum of exp over every token but the mask
  std::int64_t tokens;
  double weight, sigma, time;  // CellNoise of the row's cell
  double steps;                // T of d3pm
};

/// weight * -log softmax(logits without mask)[target].
DDSC_INLINE RowTerms subsTerms(const ObjectiveRow& row) {
  return {row.weight * (row.logTotalBelowMask - row.target), row.logTotalBelowMask, row.weight, -row.weight,
          0};
}

/// T times the variational bound of D3PM's absorbing process, d3pm_per_token of the reference: with s = t - 1
/// / T, f = log1p((1 - t) p_mask / t) and g = log1p((1 - s) p_mask / s),
///   vb = (f - log p_target) / (T t) + (s / t) (f - g).
DDSC_INLINE RowTerms d3pmTerms(const ObjectiveRow& row) {
  const double logTotal = logAddExp(row.logTotalBelowMask, row.mask);
  const double maskProbability = ::exp(row.mask - logTotal);
  const double step = 1 / row.steps;
  // The first of the T steps ends at t = 1 / T: no smaller t masks anything.
  const double positive = row.time < step ? step : row.time;
  const double t = positive < 1 - 1e-4 ? positive : 1 - 1e-4;
  const double s = t > step ? t - step : 0;
  const double first = ::log1p((1 - t) * maskProbability / t);
  const double second = s > 0 ? ::log1p((1 - s) * maskProbability / s) : 0;
  const double fromData = step / t, fromMask = s / t;
  const double bound = fromData * (first - (row.target - logTotal)) + fromMask * (first - second);

  const double firstSlope = (1 - t) / (t + (1 - t) * maskProbability);
  const double secondSlope = s > 0 ? (1 - s) / (s + (1 - s) * maskProbability) : 0;
  const double slope = fromData * firstSlope + fromMask * (firstSlope - secondSlope);  // d bound / d p_mask
  const double weight = row.steps * row.weight;
  return {weight * bound, logTotal, weight * (fromData - slope * maskProbability), -weight * fromData,
          weight * maskProbability * (fromData + slope * (1 - maskProbability))};
}

/// weight * score entropy, sedd_per_token of the reference: with s = logits - log(expm1(sigma)) - log(V - 1)
/// and q = 1 / expm1(sigma), sum of exp(s) over every token but the mask - q s_target + q (log q - 1).
DDSC_INLINE RowTerms seddTerms(const ObjectiveRow& row) {
  const double logRatio = -logExpm1(row.sigma);
  const double ratio = ::exp(logRatio);
  const double logNormaliser = ::log(static_cast<double>(row.tokens - 1)) - logRatio;
  const double entropy = ::exp(row.logTotalBelowMask - logNormaliser) - ratio * (row.target - logNormaliser) +
                         ratio * (logRatio - 1);
  return {row.weight * entropy, logNormaliser, row.weight, -row.weight * ratio, 0};
}

DDSC_INLINE RowTerms objectiveTerms(Objective objective, const ObjectiveRow& row) {
  if (objective == Objective::d3pm) return d3pmTerms(row);
  if (objective == Objective::sedd) return seddTerms(row);
  return subsTerms(row);
}

/// Mean matching of one row, |E - target| with E = sum of k e_k / sum of e_k over the values (whose sums have
/// the target as origin); its gradient is perExponential e_k ((k - target) - distance).
struct MeanTerms {
  double loss, perExponential, distance;
};

DDSC_INLINE MeanTerms meanTerms(double weight, const ValueSums& values) {
  const double distance = values.moment / values.total;
  const double sign = distance > 0 ? 1 : distance < 0 ? -1 : 0;
  return {weight * ::fabs(distance), weight * sign / values.total, distance};
}

/// Of a draw: the sum over the values of DrawTokens' w at temperature 1, where logTotal is the log of the sum
/// of exp over them.
DDSC_INLINE double valueMass(Objective objective, double logTotal, double maskLogit, std::int64_t tokens,
                             double sigma) {
  if (objective == Objective::d3pm) return ::exp(logTotal - logAddExp(logTotal, maskLogit));
  if (objective == Objective::sedd)
    return ::exp(logTotal - logExpm1(sigma) - ::log(static_cast<double>(tokens - 1)));
  return 1;
}

}  // namespace ddsc
