// What the model says about each masked row, a warp a row: the best value, its probability, the expectation,
// and the target's log-probability.

#include "cuda/ops/kernels.h"
#include "cuda/ops/value_sums.cuh"

namespace ddsc::cuda {
namespace {

struct Statistics {
  Global<const std::int32_t> target;
  Global<float> targetLogProbability;
  Global<std::int32_t> best;
  Global<float> bestProbability, expectedToken;
};

/// The lowest of the tokens with the largest logit, in every lane.
DDSC_DEVICE std::int32_t bestToken(Global<const float> logits, std::int64_t firstValue, std::int64_t mask) {
  auto best = static_cast<std::int32_t>(firstValue);
  float highest = logits[firstValue];
  eachToken(firstValue, mask, [&](std::int64_t token) {
    if (logits[token] > highest) {
      highest = logits[token];
      best = static_cast<std::int32_t>(token);
    }
  });
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    const float other = shuffleXor(highest, lanes);
    const std::int32_t otherBest = shuffleXor(best, lanes);
    if (other > highest || (other == highest && otherBest < best)) {
      highest = other;
      best = otherBest;
    }
  }
  return best;
}

DDSC_KERNEL(kRowThreads) describeRows(Rows<const float> logits, std::int64_t firstValue, Statistics out) {
  const std::int64_t row = rowOfWarp();
  if (row >= logits.rows) return;
  const Global<const float> own = logits[row];
  const std::int64_t mask = logits.cols - 1;
  const ValueSums values = sumValues(own, firstValue, mask, firstValue);
  const std::int32_t best = bestToken(own, firstValue, mask);
  float nothing = 0;
  eachToken(firstValue, mask, [&](std::int64_t token) { nothing += zeroOrNaN(own[token]); });
  nothing = warpSum(nothing);
  if (laneIndex() != 0) return;
  out.best[row] = best;
  const float e = expf(own[best] - static_cast<float>(values.maximum));
  out.bestProbability[row] = static_cast<float>(static_cast<double>(e) / values.total) + nothing;
  out.expectedToken[row] =
      static_cast<float>(static_cast<double>(firstValue) + values.moment / values.total) + nothing;
  if (out.targetLogProbability.data != nullptr) {
    const auto target = static_cast<double>(own[out.target[row]]);
    out.targetLogProbability[row] =
        static_cast<float>(target - logTotalBelowMask(own, firstValue, values)) + nothing;
  }
}

}  // namespace

void run(Context& context, const TokenStatistics& op) {
  launch<describeRows>(context.stream, "tokenStatistics", warpPerRow(op.logits.rows),
                       rowsOf<float>(op.logits), std::int64_t{op.firstValue},
                       Statistics{globalOf(op.target), globalOf(op.targetLogProbability), globalOf(op.best),
                                  globalOf(op.bestProbability), globalOf(op.expectedToken)});
}

}  // namespace ddsc::cuda
