// What the model says about each masked row, in one pass over the logits: the best value, its probability,
// the expectation, and the target's log-probability.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"
#include "cpu/value_softmax.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;

void describeRow(const TokenStatistics& op, std::int64_t row, float* exponentials) {
  const std::int64_t firstValue = op.firstValue, mask = op.logits.cols - 1;
  const float* logits = op.logits.row<float>(row);
  const ValueSums values = sumValues(logits, firstValue, mask, firstValue, exponentials);
  std::int64_t best = firstValue;
  for (std::int64_t token = firstValue + 1; token < mask; ++token)
    if (logits[token] > logits[best]) best = token;
  op.best[row] = static_cast<std::int32_t>(best);
  const auto nothing = static_cast<double>(zeroOrNaN(logits + firstValue, mask - firstValue));
  op.bestProbability[row] =
      static_cast<float>(static_cast<double>(exponentials[best - firstValue]) / values.total + nothing);
  op.expectedToken[row] =
      static_cast<float>(static_cast<double>(firstValue) + values.moment / values.total + nothing);
  if (op.targetLogProbability) {
    const auto target = static_cast<double>(logits[op.target[row]]);
    op.targetLogProbability[row] =
        static_cast<float>(target - logTotalBelowMask(logits, firstValue, values) + nothing);
  }
}

}  // namespace

void run(Context& context, const TokenStatistics& op) {
  const std::size_t rowBytes = static_cast<std::size_t>(op.logits.cols) * sizeof(float);
  parallelChunks(context, op.logits.rows, kRowsPerTask,
                 [&](std::int64_t first, std::int64_t last, int worker) {
                   auto* exponentials = static_cast<float*>(context.scratch.worker(worker, rowBytes));
                   for (std::int64_t row = first; row < last; ++row) describeRow(op, row, exponentials);
                 });
}

}  // namespace ddsc::cpu::DDSC_ISA
