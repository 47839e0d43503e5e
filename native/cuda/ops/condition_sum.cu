// What cells are told, summed and bent in one sweep, a warp a cell.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

DDSC_KERNEL(kRowThreads)
sumConditions(View<const float> numbers, View<const float> labels, Global<const std::int32_t> terms,
              std::int64_t termsEach, View<float> pre, View<float> y) {
  const std::int64_t cell = rowOfWarp();
  if (cell >= pre.rows.rows) return;
  eachRun(pre.rows.cols, [&](std::int64_t col, int count) {
    Run sum{};
    for (std::int64_t term = cell * termsEach; term < (cell + 1) * termsEach; ++term) {
      const std::int64_t of = terms[term];
      const Run add = of >= 0 ? numbers.load(of, col, count) : labels.load(-1 - of, col, count);
#pragma unroll
      for (int i = 0; i < kRun; ++i) sum.value[i] += add.value[i];
    }
    pre.store(cell, col, count, sum);
#pragma unroll
    for (int i = 0; i < kRun; ++i) sum.value[i] = activate(Activation::silu, sum.value[i]);
    y.store(cell, col, count, sum);
  });
}

}  // namespace

void run(Context& context, const ConditionSum& op) {
  const std::int64_t cells = op.pre.rows;
  launch<sumConditions>(context.stream, "conditionSum", warpPerRow(cells), viewOf<float>(op.numbers),
                        viewOf<float>(op.labels), globalOf(op.terms), cells > 0 ? op.terms.size / cells : 0,
                        viewOf<float>(op.pre), viewOf<float>(op.y));
}

}  // namespace ddsc::cuda
