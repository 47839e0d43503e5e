// Loss of masked rows and its gradient, a warp a row: the row stays in the first-level cache, exponentials
// are taken again for the gradient instead of stored, everything done once a row (ops/objectives.h) is in
// float64.

#include "cuda/ops/kernels.h"
#include "cuda/ops/value_sums.cuh"

namespace ddsc::cuda {
namespace {

struct LossInput {
  Objective objective;
  double steps;
  Rows<const float> logits;
  Global<const std::int32_t> targets, cells;
  Global<const float> weight, sigma, time, meanWeight;
  std::int64_t firstValue;
  double gradientScale;
};

DDSC_DEVICE double noiseOf(Global<const float> ofCells, std::int64_t cell) {
  return ofCells.data == nullptr ? 0.0 : static_cast<double>(ofCells[cell]);
}

/// The row's gradient: a value's is e_k (base + slope (k - target)).
template <class T>
DDSC_DEVICE void writeGradient(const LossInput& in, Global<const float> logits, std::int64_t target,
                               const RowTerms& terms, const MeanTerms& mean, const ValueSums& values,
                               Global<T> gradient) {
  const std::int64_t mask = in.logits.cols - 1;
  const double perExponential = terms.perProbability * ::exp(values.maximum - terms.logNormaliser);
  const auto base =
      static_cast<float>(in.gradientScale * (perExponential - mean.perExponential * mean.distance));
  const auto slope = static_cast<float>(in.gradientScale * mean.perExponential);
  const auto maximum = static_cast<float>(values.maximum);
  eachToken(0, in.logits.cols, [&](std::int64_t token) {
    float value;
    if (token == target) {
      // In float64: for a good prediction it is a small difference.
      const double p = ::exp(static_cast<double>(logits[token]) - terms.logNormaliser);
      double atTarget = terms.perProbability * p + terms.atTarget;
      if (target >= in.firstValue)
        atTarget -= mean.perExponential * mean.distance * static_cast<double>(expf(logits[token] - maximum));
      value = static_cast<float>(in.gradientScale * atTarget);
    } else if (token == mask) {
      value = static_cast<float>(in.gradientScale * terms.atMask);
    } else if (token < in.firstValue) {
      const double p = ::exp(static_cast<double>(logits[token]) - terms.logNormaliser);
      value = static_cast<float>(in.gradientScale * terms.perProbability * p);
    } else {
      value =
          expf(logits[token] - maximum) * fusedMultiplyAdd(slope, static_cast<float>(token - target), base);
    }
    gradient[token] = fromFloat<T>(value);
  });
}

template <class T>
DDSC_KERNEL(kRowThreads)
lossOfRows(LossInput in, Global<float> loss, Global<float> meanLoss, Rows<T> dlogits) {
  const std::int64_t row = rowOfWarp();
  if (row >= in.logits.rows) return;
  const Global<const float> logits = in.logits[row];
  const std::int64_t mask = in.logits.cols - 1, target = in.targets[row], cell = in.cells[row];
  const ValueSums values = sumValues(logits, in.firstValue, mask, target);
  const RowTerms terms = objectiveTerms(
      in.objective, {static_cast<double>(logits[target]), static_cast<double>(logits[mask]),
                     logTotalBelowMask(logits, in.firstValue, values), in.logits.cols,
                     noiseOf(in.weight, cell), noiseOf(in.sigma, cell), noiseOf(in.time, cell), in.steps});
  MeanTerms mean{0, 0, 0};
  const bool withMean = in.meanWeight.data != nullptr;
  if (withMean) mean = meanTerms(static_cast<double>(in.meanWeight[cell]), values);
  if (laneIndex() == 0) {
    loss[row] = static_cast<float>(terms.loss);
    if (withMean) meanLoss[row] = static_cast<float>(mean.loss);
  }
  if (dlogits.data != nullptr) writeGradient<T>(in, logits, target, terms, mean, values, dlogits[row]);
}

}  // namespace

void run(Context& context, const DiffusionLoss& op) {
  const LossInput input{op.objective,
                        op.steps,
                        rowsOf<float>(op.logits),
                        globalOf(op.target),
                        globalOf(op.cell),
                        globalOf(op.noise.weight),
                        globalOf(op.noise.sigma),
                        globalOf(op.noise.time),
                        globalOf(op.noise.meanWeight),
                        op.firstValue,
                        static_cast<double>(op.gradientScale)};
  withElementType(op.dlogits.type, [&](auto element) {
    using T = decltype(element);
    launch<lossOfRows<T>>(context.stream, "diffusionLoss", warpPerRow(op.logits.rows), input,
                          globalOf(op.loss), globalOf(op.meanLoss), rowsOf<T>(op.dlogits));
  });
}

}  // namespace ddsc::cuda
