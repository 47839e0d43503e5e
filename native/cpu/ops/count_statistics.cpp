// What a count model says about queries, in one pass over the logits and in float64: log-probabilities and
// tail probabilities from sums of what they are made of, not from differences to one.

#include "cpu/count_softmax.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

void describeTarget(const CountStatistics& op, std::int64_t row, const CountSums& sums,
                    const CountRow& memory) {
  const std::int64_t target = op.target[row];
  if (op.logProbability) op.logProbability[row] = static_cast<float>(sums.logProbability(memory.x[target]));
  if (!op.below) return;
  double below = 0;
  for (std::int64_t value = 0; value < target; ++value) below += memory.e[value];
  op.below[row] = static_cast<float>(below / sums.total());
}

void describeCount(const CountStatistics& op, std::int64_t row, const CountSums& sums,
                   const CountRow& memory) {
  if (op.expressed) op.expressed[row] = static_cast<float>(sums.othersOf(0, memory.e[0]));
  if (!op.mean && !op.variance) return;
  const double mean = sumOfDoubles(memory.padded,
                                   [&](std::int64_t i) {
                                     return loadDoubles(memory.e + i) * loadDoubles(memory.middle + i);
                                   }) /
                      sums.total();
  if (op.mean) op.mean[row] = static_cast<float>(mean);
  if (!op.variance) return;
  const D centre = allOf(mean);
  const double squares = sumOfDoubles(memory.padded, [&](std::int64_t i) {
    const D distance = loadDoubles(memory.middle + i) - centre;
    return loadDoubles(memory.e + i) * (distance * distance);
  });
  op.variance[row] = static_cast<float>(squares / sums.total());
}

void describeRow(const CountStatistics& op, std::int64_t row, const CountRow& memory) {
  const RowBase base = baseOf(op.base, row);
  const CountSums sums = countSums(op.base, base, op.logits.row<float>(row) + op.firstValue, row, memory);
  if (op.target) describeTarget(op, row, sums, memory);
  describeCount(op, row, sums, memory);
  if (!op.logProbabilities) return;
  const D maximum = allOf(sums.maximum), logTotal = allOf(::log1p(sums.rest));
  eachDoubles(memory.padded, [&](std::int64_t i) {
    storeDoubles(memory.single + i, (loadDoubles(memory.x + i) - maximum) - logTotal);
  });
  __builtin_memcpy(op.logProbabilities.row<float>(row), memory.single,
                   static_cast<std::size_t>(op.base.middle.size) * sizeof(float));
}

}  // namespace

void run(Context& context, const CountStatistics& op) {
  eachCountRow(context, op.base,
               [&](std::int64_t row, const CountRow& memory) { describeRow(op, row, memory); });
}

}  // namespace ddsc::cpu::DDSC_ISA
