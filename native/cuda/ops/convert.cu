// Rounding to bf16 and back.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

template <class In, class Out>
DDSC_KERNEL(kRowThreads)
convert(View<const In> in, View<Out> out) {
  const std::int64_t row = rowOfWarp();
  if (row >= out.rows.rows) return;
  eachRun(out.rows.cols,
          [&](std::int64_t col, int count) { out.store(row, col, count, in.load(row, col, count)); });
}

}  // namespace

void run(Context& context, const Convert& op) {
  withElementType(op.in.type, [&](auto from) {
    withElementType(op.out.type, [&](auto to) {
      using In = decltype(from);
      using Out = decltype(to);
      launch<convert<In, Out>>(context.stream, "convert", warpPerRow(op.out.rows), viewOf<In>(op.in),
                               viewOf<Out>(op.out));
    });
  });
}

}  // namespace ddsc::cuda
