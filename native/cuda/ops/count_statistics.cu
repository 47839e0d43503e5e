// What a count model says about queries, a warp a row and in float64: log-probabilities and tail
// probabilities from sums of what they are made of, not from differences to one.

#include "cuda/ops/count_softmax.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

struct StatisticsOutput {
  Global<float> logProbability, below, mean, variance, expressed;
  Rows<float> logProbabilities;
};

DDSC_DEVICE void describeTarget(const CountRow& row, const CountSums& sums, std::int64_t target,
                                std::int64_t index, const StatisticsOutput& out) {
  if (out.logProbability.data != nullptr && laneIndex() == 0)
    out.logProbability[index] = static_cast<float>(sums.logProbability(row.x(target)));
  if (out.below.data == nullptr) return;
  double below = 0;
  eachValue(target, [&](std::int64_t value) { below += row.exponential(value, sums); });
  below = warpSum(below);
  if (laneIndex() == 0) out.below[index] = static_cast<float>(below / sums.total());
}

DDSC_DEVICE void describeCount(const CountRow& row, const CountSums& sums, std::int64_t index,
                               const StatisticsOutput& out) {
  if (out.expressed.data != nullptr && laneIndex() == 0)
    out.expressed[index] = static_cast<float>(sums.othersOf(0, row.exponential(0, sums)));
  const bool withVariance = out.variance.data != nullptr;
  if (out.mean.data == nullptr && !withVariance) return;
  const double mean =
      sumOverValues(row, sums, [&](std::int64_t value) { return row.middle[value]; }) / sums.total();
  if (out.mean.data != nullptr && laneIndex() == 0) out.mean[index] = static_cast<float>(mean);
  if (!withVariance) return;
  const double squares = sumOverValues(row, sums, [&](std::int64_t value) {
    const double distance = row.middle[value] - mean;
    return distance * distance;
  });
  if (laneIndex() == 0) out.variance[index] = static_cast<float>(squares / sums.total());
}

DDSC_KERNEL(kRowThreads)
describeCounts(CountInput in, Global<const std::int32_t> targets, StatisticsOutput out) {
  const std::int64_t index = rowOfWarp();
  if (index >= in.logits.rows) return;
  const CountRow row(in, index);
  const CountSums sums = countSums(row);
  if (targets.data != nullptr) describeTarget(row, sums, targets[index], index, out);
  describeCount(row, sums, index, out);
  if (out.logProbabilities.data == nullptr) return;
  const Global<float> all = out.logProbabilities[index];
  eachValue(row.values,
            [&](std::int64_t value) { all[value] = static_cast<float>(sums.logProbability(row.x(value))); });
}

}  // namespace

void run(Context& context, const CountStatistics& op) {
  launch<describeCounts>(
      context.stream, "countStatistics", warpPerRow(op.logits.rows),
      countInput(op.logits, op.firstValue, op.base), globalOf(op.target),
      StatisticsOutput{globalOf(op.logProbability), globalOf(op.below), globalOf(op.mean),
                       globalOf(op.variance), globalOf(op.expressed), rowsOf<float>(op.logProbabilities)});
}

}  // namespace ddsc::cuda
