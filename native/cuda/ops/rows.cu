// Rows picked out (the masked ones, for the head and the loss) and put back among zeros, or added to others.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

template <class T>
DDSC_KERNEL(kRowThreads)
gather(View<const T> source, Global<const std::int32_t> index, View<T> out) {
  const std::int64_t row = rowOfWarp();
  if (row >= out.rows.rows) return;
  const std::int64_t from = index[row];
  eachRun(out.rows.cols,
          [&](std::int64_t col, int count) { out.store(row, col, count, source.load(from, col, count)); });
}

template <class T>
DDSC_KERNEL(kRowThreads)
scatter(View<const T> source, Global<const std::int32_t> index, View<T> out) {
  const std::int64_t row = rowOfWarp();
  if (row >= out.rows.rows) return;
  std::int64_t low = 0, high = index.size;  // the first i with index[i] >= row
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (index[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const bool given = low < index.size && index[low] == row;
  eachRun(out.rows.cols, [&](std::int64_t col, int count) {
    out.store(row, col, count, given ? source.load(low, col, count) : Run{});
  });
}

template <class T>
DDSC_KERNEL(kRowThreads)
addRows(View<const T> source, Global<const std::int32_t> index, View<T> out) {
  const std::int64_t row = rowOfWarp();
  if (row >= source.rows.rows) return;
  const std::int64_t to = index[row];
  eachRun(source.rows.cols, [&](std::int64_t col, int count) {
    const Run add = source.load(row, col, count);
    Run sum = out.load(to, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) sum.value[i] += add.value[i];
    out.store(to, col, count, sum);
  });
}

}  // namespace

void run(Context& context, const GatherRows& op) {
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    launch<gather<T>>(context.stream, "gatherRows", warpPerRow(op.out.rows), viewOf<T>(op.source),
                      globalOf(op.index), viewOf<T>(op.out));
  });
}

void run(Context& context, const ScatterRows& op) {
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    launch<scatter<T>>(context.stream, "scatterRows", warpPerRow(op.out.rows), viewOf<T>(op.source),
                       globalOf(op.index), viewOf<T>(op.out));
  });
}

void run(Context& context, const AddRows& op) {
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    launch<addRows<T>>(context.stream, "addRows", warpPerRow(op.source.rows), viewOf<T>(op.source),
                       globalOf(op.index), viewOf<T>(op.out));
  });
}

}  // namespace ddsc::cuda
