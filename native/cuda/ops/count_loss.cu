// Loss of queries and its gradient, a warp a row: bases and exponentials are made again for the gradient
// instead of stored. Float64 but for what is written.

#include "cuda/ops/count_softmax.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

struct LossInput {
  CountInput counts;
  Global<const std::int32_t> targets;
  Global<const float> weight;
  double gradientScale;
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
    }
    gradient[token] = fromFloat<T>(static_cast<float>(g));
  }
}

/// Three blocks at a time: left to itself, the compiler takes four and spills.
template <class T>
DDSC_KERNEL(kRowThreads, 3)
countLossOfRows(LossInput in, Global<float> loss, Global<float> logProbability, Rows<T> dlogits,
                Global<float> dtilt) {
  const std::int64_t index = rowOfWarp();
  if (index >= in.counts.logits.rows) return;
  const CountRow row(in.counts, index);
  const CountSums sums = countSums(row);
  const std::int64_t target = in.targets[index];
  const auto weight = static_cast<double>(in.weight[index]);
  const double scale = in.gradientScale * weight;
  if (laneIndex() == 0) {
    const double logP = sums.logProbability(row.x(target));
    loss[index] = static_cast<float>(-weight * logP);
    logProbability[index] = static_cast<float>(logP);
  }
  if (dtilt.data != nullptr) {
    const double middle = row.middle[target];
    const double moment = sumOverValues(row, sums, [middle](double of) { return of - middle; });
    if (laneIndex() == 0)
      dtilt[index] = static_cast<float>(scale * row.base.perTilt * (moment / sums.total()));
  }
  if (dlogits.data != nullptr)
    writeGradient<T>(row, sums, in.counts.firstValue, target, scale, dlogits[index]);
}

}  // namespace

void run(Context& context, const CountLoss& op) {
  const LossInput input{countInput(op.logits, op.firstValue, op.base), globalOf(op.target),
                        globalOf(op.weight), static_cast<double>(op.gradientScale)};
  withElementType(op.dlogits.type, [&](auto element) {
    using T = decltype(element);
    launch<countLossOfRows<T>>(context.stream, "countLoss", warpPerRow(op.logits.rows), input,
                               globalOf(op.loss), globalOf(op.logProbability), rowsOf<T>(op.dlogits),
                               globalOf(op.dtilt));
  });
}

}  // namespace ddsc::cuda
