// One exact draw a query by inverse CDF: a value, then a count of its bin. All in float64, by sums and
// products that every instruction set rounds alike, so that all draw the same.

#include "core/random.h"
#include "cpu/count_softmax.h"
#include "cpu/inverse_cdf.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

void drawRow(const DrawCounts& op, std::int64_t row, const CountRow& memory) {
  const RowBase base = baseOf(op.base, row);
  const CountSums sums = countSums(op.base, base, op.logits.row<float>(row) + op.firstValue, row, memory);
  const Stream stream(op.seed, Purpose::draw, op.step, op.rows.cellIndex[op.rows.cell[row]]);
  const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(op.rows.position[row]));
  const double point = uniform53(block.word[0], block.word[1]) * sums.total();
  const std::int64_t values = op.base.middle.size;
  const std::int64_t drawn = point >= 0 ? invert(memory.e, values, point) : values;
  const std::int64_t value = drawn < values ? drawn : -1;
  op.values[row] = static_cast<std::int32_t>(value);
  op.counts[row] =
      value < 0 ? -1
                : countOfBin(op.low[value], op.low[value + 1], base, uniform53(block.word[2], block.word[3]));
}

}  // namespace

void run(Context& context, const DrawCounts& op) {
  eachCountRow(context, op.base, [&](std::int64_t row, const CountRow& memory) { drawRow(op, row, memory); });
}

}  // namespace ddsc::cpu::DDSC_ISA
