// Loss of masked rows and its gradient in one pass over the logits: exponentials of one row live in cache,
// sums and everything done once a row (ops/objectives.h) is in float64, probabilities are never stored.

#include <math.h>

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"
#include "cpu/value_softmax.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;

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
  const auto noise = [cell](const Span<const float>& ofCells) {
    return ofCells ? static_cast<double>(ofCells[cell]) : 0.0;
  };
  const RowTerms terms =
      objectiveTerms(op.objective, {.target = static_cast<double>(logits[target]),
                                    .mask = static_cast<double>(logits[mask]),
                                    .logTotalBelowMask = logTotalBelowMask(logits, op.firstValue, values),
                                    .tokens = op.logits.cols,
                                    .weight = noise(op.noise.weight),
                                    .sigma = noise(op.noise.sigma),
                                    .time = noise(op.noise.time),
                                    .steps = op.steps});
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

void run(Context& context, const DiffusionLoss& op) {
  const std::size_t rowBytes = static_cast<std::size_t>(op.logits.cols) * sizeof(float);
  parallelChunks(context, op.logits.rows, kRowsPerTask,
                 [&](std::int64_t first, std::int64_t last, int worker) {
                   auto* exponentials = static_cast<float*>(context.scratch.worker(worker, rowBytes));
                   for (std::int64_t row = first; row < last; ++row) lossOfRow(op, row, exponentials);
                 });
}

}  // namespace ddsc::cpu::DDSC_ISA
