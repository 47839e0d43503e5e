// The end of a residual branch: dropout, the cell's gate and the residual sum in one sweep. The dropout mask
// is drawn where it is used, forward and backward alike, and never stored.

#include "core/random.h"
#include "cuda/ops/cell_sums.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

/// Dropout's factors: 1 / (1 - p) where an element is kept, 0 where it is dropped. One Philox block serves a
/// run.
struct Dropping {
  std::uint64_t seed, step, threshold;
  std::uint32_t site;
  float scale;
  Global<const std::int32_t> position;
  Global<const std::uint64_t> cellIndex;

  static Dropping of(const Dropout& dropout, const Ragged& cells) {
    const std::uint64_t threshold = threshold32(dropout.probability);
    const bool someKept = threshold <= 0xFFFFFFFFu;
    return {dropout.seed,
            dropout.step,
            threshold,
            dropout.site,
            someKept ? static_cast<float>(1.0 / (1.0 - dropout.probability)) : 0.0f,
            globalOf(cells.position),
            globalOf(cells.cellIndex)};
  }

  DDSC_DEVICE Run factors(std::int64_t row, std::int64_t cell, std::int64_t col) const {
    Run factor;
    if (threshold == 0) {
#pragma unroll
      for (int i = 0; i < kRun; ++i) factor.value[i] = 1.0f;
      return factor;
    }
    const ddsc::Stream stream(seed, Purpose::dropout, step, cellIndex[cell], site);
    const PhiloxBlock drawn = philox(
        stream, static_cast<std::uint32_t>(position[row]) << 12 | static_cast<std::uint32_t>(col / kRun));
#pragma unroll
    for (int i = 0; i < kRun; ++i) factor.value[i] = drawn.word[i] < threshold ? 0.0f : scale;
    return factor;
  }
};

template <class T>
DDSC_KERNEL(kRowThreads)
addGated(View<const float> x, View<const T> h, View<const float> gate, Global<const std::int32_t> cells,
         Dropping dropping, View<float> y) {
  const std::int64_t row = rowOfWarp();
  if (row >= y.rows.rows) return;
  const std::int64_t cell = cells[row];
  eachRun(y.rows.cols, [&](std::int64_t col, int count) {
    const Run factor = dropping.factors(row, cell, col), g = gate.load(cell, col, count);
    const Run branch = h.load(row, col, count);
    Run sum = x.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i)
      sum.value[i] = fusedMultiplyAdd(g.value[i], branch.value[i] * factor.value[i], sum.value[i]);
    y.store(row, col, count, sum);
  });
}

/// dh of a cell's rows, and the block's share of dgate.
template <class T>
DDSC_KERNEL(kRowThreads)
differentiateGated(View<const float> dy, View<const T> h, View<const float> gate,
                   Global<const std::int32_t> offsets, Dropping dropping, View<T> dh, CellSums sums) {
  const std::int64_t cell = blockIndex().x;
  sumCellRows<1>(offsets, sums, [&](std::int64_t row, std::int64_t col, int count, Run(&own)[1]) {
    const Run factor = dropping.factors(row, cell, col), g = gate.load(cell, col, count);
    const Run branch = h.load(row, col, count);
    Run gradient = dy.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const float dropped = gradient.value[i] * factor.value[i];
      own[0].value[i] = fusedMultiplyAdd(dropped, branch.value[i], own[0].value[i]);
      gradient.value[i] = g.value[i] * dropped;
    }
    dh.store(row, col, count, gradient);
  });
}

/// A thread a cell and column; cells in x, where a grid takes as many as there may be.
DDSC_KERNEL(kRowThreads) addGates(Global<const std::int32_t> offsets, CellSums sums, Rows<float> dgate) {
  const std::int64_t cell = blockIndex().x;
  const std::int64_t col = static_cast<std::int64_t>(blockIndex().y) * kRowThreads + threadIndex();
  if (col >= sums.cols) return;
  dgate[cell][col] = sums.total(cell, offsets[cell + 1] - offsets[cell], 0, col);
}

}  // namespace

void run(Context& context, const GateResidual& op) {
  withElementType(op.h.type, [&](auto element) {
    using T = decltype(element);
    launch<addGated<T>>(context.stream, "gateResidual", warpPerRow(op.y.rows), viewOf<float>(op.x),
                        viewOf<T>(op.h), viewOf<float>(op.gate), globalOf(op.cells.cell),
                        Dropping::of(op.dropout, op.cells), viewOf<float>(op.y));
  });
}

void run(Context& context, const GateResidualGradient& op) {
  const CellSums sums = cellSums(context.scratch, op.cells, 1, op.dy.cols);
  withElementType(op.h.type, [&](auto element) {
    using T = decltype(element);
    launch<differentiateGated<T>>(context.stream, "gateResidualGradient", cellSumShape<1>(sums),
                                  viewOf<float>(op.dy), viewOf<T>(op.h), viewOf<float>(op.gate),
                                  globalOf(op.cells.offsets), Dropping::of(op.dropout, op.cells),
                                  viewOf<T>(op.dh), sums);
  });
  launch<addGates>(context.stream, "gateResidualGradient",
                   {.x = sums.cells, .y = ceilDivide(op.dy.cols, kRowThreads), .threads = kRowThreads},
                   globalOf(op.cells.offsets), sums, rowsOf<float>(op.dgate));
}

}  // namespace ddsc::cuda
