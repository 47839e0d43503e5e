// Guidance: what a network says with conditions is moved away from what it says without, in one sweep.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

DDSC_KERNEL(kRowThreads) guide(View<const float> null, float gamma, View<float> y) {
  const std::int64_t row = rowOfWarp();
  if (row >= y.rows.rows) return;
  eachRun(y.rows.cols, [&](std::int64_t col, int count) {
    const Run without = null.load(row, col, count);
    Run value = y.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i)
      value.value[i] = without.value[i] + gamma * (value.value[i] - without.value[i]);
    y.store(row, col, count, value);
  });
}

}  // namespace

void run(Context& context, const Guide& op) {
  launch<guide>(context.stream, "guide", warpPerRow(op.y.rows), viewOf<float>(op.null), op.gamma,
                viewOf<float>(op.y));
}

}  // namespace ddsc::cuda
