// One exact draw a query by inverse CDF, a value, then a count of its bin, in float64: a thread a row, which
// makes its exponentials anew in each pass rather than keep them.

#include "core/random.h"
#include "cuda/ops/count_softmax.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

struct DrawInput {
  CountInput counts;
  Global<const std::int32_t> position, low;
  Global<const std::uint64_t> cellIndex;
  std::uint64_t seed, step;
};

DDSC_KERNEL(kRowThreads)
drawCountRows(DrawInput in, Global<std::int32_t> values, Global<std::int32_t> counts) {
  const std::int64_t index = threadOfGrid();
  if (index >= in.counts.logits.rows) return;
  const CountRow row(in.counts, index);
  CountSums sums{row.x(0), 0, 0};
  for (std::int64_t value = 1; value < row.values; ++value) {
    const double x = row.x(value);
    if (x > sums.maximum) sums = {x, value, 0};
  }
  for (std::int64_t value = 0; value < row.values; ++value)
    if (value != sums.best) sums.rest += row.exponential(value, sums);

  const ddsc::Stream stream(in.seed, Purpose::draw, in.step, in.cellIndex[in.counts.cell[index]]);
  const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(in.position[index]));
  const double point = uniform53(block.word[0], block.word[1]) * sums.total();
  // The first at which the running sum passes the point; if rounding lets none, the last of positive weight;
  // none where the sum is not a number.
  double running = 0;
  std::int64_t drawn = -1;
  for (std::int64_t value = 0; value < row.values && point >= 0; ++value) {
    const double weight = row.exponential(value, sums);
    if (!(weight > 0)) continue;
    running += weight;
    drawn = value;
    if (running > point) break;
  }
  values[index] = static_cast<std::int32_t>(drawn);
  counts[index] = drawn < 0 ? -1
                            : countOfBin(in.low[drawn], in.low[drawn + 1], row.base,
                                         uniform53(block.word[2], block.word[3]));
}

}  // namespace

void run(Context& context, const DrawCounts& op) {
  const DrawInput input{countInput(op.logits, op.firstValue, op.base),
                        globalOf(op.rows.position),
                        globalOf(op.low),
                        globalOf(op.rows.cellIndex),
                        op.seed,
                        op.step};
  launch<drawCountRows>(context.stream, "drawCounts",
                        {.x = ceilDivide(op.logits.rows, kRowThreads), .threads = kRowThreads}, input,
                        globalOf(op.values), globalOf(op.counts));
}

}  // namespace ddsc::cuda
