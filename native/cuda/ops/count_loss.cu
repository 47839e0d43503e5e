// Loss of queries and its gradient, a warp a row: bases and exponentials are made again for the gradient
// instead of stored. Float64 but for what is written.

#include "cuda/ops/count_softmax.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

struct LossInput {
  CountInput counts;
  Global<const std::int32_t> targets;
  Global<const float> weight, logSize, rowLogSize;
  double gradientScale;
};

struct LossOutput {
  Global<float> loss, logProbability, dtilt, dlogSize;
};

template <class T>
DDSC_DEVICE void writeGradient(const CountRow& row, const CountSums& sums, std::int64_t firstValue,
                               std::int64_t target, double scale, Global<T> gradient) {
  const double perExponential = scale / sums.total();
  for (std::int64_t token = laneIndex(); token < gradient.size; token += kWarpSize) {
    const std::int64_t value = token - firstValue;
    double g = 0;
    if (value >= 0 && value < row.values) {
      const double e = row.exponential(value, sums);
      // The target's is what the others hold, so that it stays exact for a good prediction.
      g = value == target ? -scale * sums.othersOf(value, e) : perExponential * e;
      if (g < kLeastGradient && g > -kLeastGradient) g = 0;
    }
    gradient[token] = fromFloat<T>(static_cast<float>(g));
  }
}

/// Three blocks at a time: left to itself, the compiler takes four and spills.
template <class T>
DDSC_KERNEL(kRowThreads, 3)
countLossOfRows(LossInput in, LossOutput out, Rows<T> dlogits) {
  const std::int64_t index = rowOfWarp();
  if (index >= in.counts.logits.rows) return;
  const CountRow row(in.counts, index);
  const CountSums sums = countSums(row);
  const std::int64_t target = in.targets[index];
  const auto weight = static_cast<double>(in.weight[index]);
  const double scale = in.gradientScale * weight;
  if (laneIndex() == 0) {
    const double logP = sums.logProbability(row.x(target));
    out.loss[index] = static_cast<float>(-weight * logP);
    out.logProbability[index] = static_cast<float>(logP);
  }
  const double middle = row.middle[target];
  if (out.dtilt.data != nullptr) {
    const double moment =
        sumOverValues(row, sums, [&](std::int64_t value) { return row.middle[value] - middle; });
    if (laneIndex() == 0)
      out.dtilt[index] = static_cast<float>(scale * row.base.perTilt * (moment / sums.total()));
  }
  if (out.dlogSize.data != nullptr) {
    const double* slope = in.counts.slope.data + in.counts.place[index] * row.values;
    const double ofTarget = slope[target], per = row.base.perSize;
    const double moment = sumOverValues(row, sums, [&](std::int64_t value) {
      return (slope[value] - ofTarget) - (row.middle[value] - middle) * per;
    });
    const bool moves =
        movesSize(in.rowLogSize.data != nullptr ? in.rowLogSize[index] : in.logSize[in.counts.gene[index]]);
    if (laneIndex() == 0)
      out.dlogSize[index] = moves ? static_cast<float>(scale * (moment / sums.total())) : 0.0f;
  }
  if (dlogits.data != nullptr)
    writeGradient<T>(row, sums, in.counts.firstValue, target, scale, dlogits[index]);
}

}  // namespace

void run(Context& context, const CountLoss& op) {
  const LossInput input{countInput(op.logits, op.firstValue, op.base),
                        globalOf(op.target),
                        globalOf(op.weight),
                        globalOf(op.logSize),
                        globalOf(op.rowLogSize),
                        static_cast<double>(op.gradientScale)};
  const LossOutput output{globalOf(op.loss), globalOf(op.logProbability), globalOf(op.dtilt),
                          globalOf(op.dlogSize)};
  withElementType(op.dlogits.type, [&](auto element) {
    using T = decltype(element);
    launch<countLossOfRows<T>>(context.stream, "countLoss", warpPerRow(op.logits.rows), input, output,
                               rowsOf<T>(op.dlogits));
  });
}

}  // namespace ddsc::cuda
