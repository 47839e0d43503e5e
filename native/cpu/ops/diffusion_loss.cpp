// Loss of masked rows and its gradient in one pass over the logits: exponentials of one row live in cache,
// sums and everything done once a row is in float64, probabilities are never stored.
//
// All three objectives give a gradient of one form, with p_k = exp(logit_k - logNormaliser):
//   dlogit_k = perProbability p_k + [k = target] atTarget,  k below the mask;  dlogit_mask = atMask.
// Mean matching, |E - target| with E = sum of k e_k / sum of e_k over the values, adds
//   sign(E - target) (e_k / sum e) ((k - target) - (E - target)).

#include <math.h>

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"
#include "cpu/value_softmax.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;

/// An objective's loss of one row and its gradient, both weighted.
struct RowTerms {
  double loss;
  double logNormaliser;
  double perProbability, atTarget, atMask;
};

/// What an objective may look at: the row, as float64.
struct RowLogits {
  double target, mask;       // logits
  double logTotalBelowMask;  // log sum of exp over every token but the mask
  std::int64_t tokens;
  std::int64_t cell;
};

/// weight * -log softmax(logits without mask)[target].
RowTerms subsTerms(const DiffusionLoss& op, const RowLogits& row) {
  const auto weight = static_cast<double>(op.noise.weight[row.cell]);
  return {weight * (row.logTotalBelowMask - row.target), row.logTotalBelowMask, weight, -weight, 0};
}

/// T times the variational bound of D3PM's absorbing process, d3pm_per_token of the reference: with s = t - 1
/// / T, f = log1p((1 - t) p_mask / t) and g = log1p((1 - s) p_mask / s),
///   vb = (f - log p_target) / (T t) + (s / t) (f - g).
RowTerms d3pmTerms(const DiffusionLoss& op, const RowLogits& row) {
  const double logTotal = logAddExp(row.logTotalBelowMask, row.mask);
  const double maskProbability = ::exp(row.mask - logTotal);
  const double step = 1 / op.steps;
  // The first of the T steps ends at t = 1 / T: no smaller t masks anything.
  const double given = static_cast<double>(op.noise.time[row.cell]);
  const double positive = given < step ? step : given;
  const double t = positive < 1 - 1e-4 ? positive : 1 - 1e-4;
  const double s = t > step ? t - step : 0;
  const double first = ::log1p((1 - t) * maskProbability / t);
  const double second = s > 0 ? ::log1p((1 - s) * maskProbability / s) : 0;
  const double fromData = step / t, fromMask = s / t;
  const double bound = fromData * (first - (row.target - logTotal)) + fromMask * (first - second);

  const double firstSlope = (1 - t) / (t + (1 - t) * maskProbability);
  const double secondSlope = s > 0 ? (1 - s) / (s + (1 - s) * maskProbability) : 0;
  const double slope = fromData * firstSlope + fromMask * (firstSlope - secondSlope);  // d bound / d p_mask
  const double weight = op.steps * static_cast<double>(op.noise.weight[row.cell]);
  return {weight * bound, logTotal, weight * (fromData - slope * maskProbability), -weight * fromData,
          weight * maskProbability * (fromData + slope * (1 - maskProbability))};
}

/// weight * score entropy, sedd_per_token of the reference: with s = logits - log(expm1(sigma)) - log(V - 1)
/// and q = 1 / expm1(sigma), sum of exp(s) over every token but the mask - q s_target + q (log q - 1).
RowTerms seddTerms(const DiffusionLoss& op, const RowLogits& row) {
  const double logRatio = -logExpm1(static_cast<double>(op.noise.sigma[row.cell]));
  const double ratio = ::exp(logRatio);
  const double logNormaliser = ::log(static_cast<double>(row.tokens - 1)) - logRatio;
  const double entropy = ::exp(row.logTotalBelowMask - logNormaliser) - ratio * (row.target - logNormaliser) +
                         ratio * (logRatio - 1);
  const auto weight = static_cast<double>(op.noise.weight[row.cell]);
  return {weight * entropy, logNormaliser, weight, -weight * ratio, 0};
}

RowTerms termsOf(const DiffusionLoss& op, const RowLogits& row) {
  switch (op.objective) {
    case Objective::subs: return subsTerms(op, row);
    case Objective::d3pm: return d3pmTerms(op, row);
    case Objective::sedd: return seddTerms(op, row);
  }
  __builtin_unreachable();
}

/// Mean matching of one row; its gradient is perExponential e_k ((k - target) - distance).
struct MeanTerms {
  double loss, perExponential, distance;
};

MeanTerms meanTerms(double weight, const ValueSums& values) {
  const double distance = values.moment / values.total;
  const double sign = distance > 0 ? 1 : distance < 0 ? -1 : 0;
  return {weight * ::fabs(distance), weight * sign / values.total, distance};
}

template <class T>
void writeGradient(const DiffusionLoss& op, std::int64_t row, const RowTerms& terms, const MeanTerms& mean,
                   const ValueSums& values, const float* exponentials) {
  const std::int64_t mask = op.logits.cols - 1, firstValue = op.firstValue, target = op.target[row];
  const float* logits = op.logits.row<float>(row);
  T* gradient = op.dlogits.row<T>(row);
  const auto scale = static_cast<double>(op.gradientScale);

  // A value's gradient is e_k (base + slope (k - target)).
  const double perExponential = terms.perProbability * ::exp(values.maximum - terms.logNormaliser);
  const auto base = static_cast<float>(scale * (perExponential - mean.perExponential * mean.distance));
  const auto slope = static_cast<float>(scale * mean.perExponential);
  const F baseLanes = set1(base), slopeLanes = set1(slope);
  F distance = toFloat(iota()) + set1(static_cast<float>(firstValue - target));
  eachVector(mask - firstValue, [&](std::int64_t i, auto lanes) {
    store(gradient + firstValue + i, load(exponentials + i, lanes) * fma(slopeLanes, distance, baseLanes),
          lanes);
    distance = distance + set1(static_cast<float>(kWidth));
  });
  for (std::int64_t token = 0; token < firstValue; ++token) {
    const double p = ::exp(static_cast<double>(logits[token]) - terms.logNormaliser);
    gradient[token] = fromFloat<T>(static_cast<float>(scale * terms.perProbability * p));
  }
  // The target's once more, in float64: for a good prediction it is a small difference.
  const double p = ::exp(static_cast<double>(logits[target]) - terms.logNormaliser);
  double atTarget = terms.perProbability * p + terms.atTarget;
  if (target >= firstValue)
    atTarget -= mean.perExponential * mean.distance * static_cast<double>(exponentials[target - firstValue]);
  gradient[target] = fromFloat<T>(static_cast<float>(scale * atTarget));
  gradient[mask] = fromFloat<T>(static_cast<float>(scale * terms.atMask));
}

void lossOfRow(const DiffusionLoss& op, std::int64_t row, float* exponentials) {
  const std::int64_t mask = op.logits.cols - 1, target = op.target[row], cell = op.cell[row];
  const float* logits = op.logits.row<float>(row);
  const ValueSums values = sumValues(logits, op.firstValue, mask, target, exponentials);
  const RowTerms terms = termsOf(op, {.target = static_cast<double>(logits[target]),
                                      .mask = static_cast<double>(logits[mask]),
                                      .logTotalBelowMask = logTotalBelowMask(logits, op.firstValue, values),
                                      .tokens = op.logits.cols,
                                      .cell = cell});
  op.loss[row] = static_cast<float>(terms.loss);
  MeanTerms mean{0, 0, 0};
  if (op.noise.meanWeight) {
    mean = meanTerms(static_cast<double>(op.noise.meanWeight[cell]), values);
    op.meanLoss[row] = static_cast<float>(mean.loss);
  }
  if (!op.dlogits) return;
  if (op.dlogits.type == DType::f32) {
    writeGradient<float>(op, row, terms, mean, values, exponentials);
  } else {
    writeGradient<bf16>(op, row, terms, mean, values, exponentials);
  }
}

}  // namespace

void diffusionLoss(Context& context, const DiffusionLoss& op) {
  const std::size_t rowBytes = static_cast<std::size_t>(op.logits.cols) * sizeof(float);
  parallelChunks(context, op.logits.rows, kRowsPerTask,
                 [&](std::int64_t first, std::int64_t last, int worker) {
                   auto* exponentials = static_cast<float*>(context.scratch.worker(worker, rowBytes));
                   for (std::int64_t row = first; row < last; ++row) lossOfRow(op, row, exponentials);
                 });
}

}  // namespace ddsc::cpu::DDSC_ISA
