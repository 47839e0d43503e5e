// Tilts of rows, a warp a row, and their gradient: that of the cells' states by blocks of rows within cells,
// then over the blocks in order; that of the genes' factors a warp a gene, in the order the Grouping gives.

#include "cuda/ops/cell_sums.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

DDSC_KERNEL(kRowThreads)
tiltRows(Rows<const float> factor, Rows<const float> state, Global<const std::int32_t> gene,
         Global<const std::int32_t> cell, Global<const float> start, Global<float> tilt) {
  const std::int64_t row = rowOfWarp();
  if (row >= tilt.size) return;
  const Global<const float> left = factor[gene[row]], right = state[cell[row]];
  float sum = 0;
  for (std::int64_t col = laneIndex(); col < factor.cols; col += kWarpSize)
    sum = fusedMultiplyAdd(left[col], right[col], sum);
  sum = warpSum(sum);
  if (laneIndex() == 0) tilt[row] = start.data != nullptr ? start[gene[row]] + sum : sum;
}

DDSC_KERNEL(kRowThreads)
sumStates(Global<const float> dtilt, View<const float> factor, Global<const std::int32_t> gene,
          Global<const std::int32_t> offsets, CellSums sums) {
  sumCellRows<1>(offsets, sums, [&](std::int64_t row, std::int64_t col, int count, Run(&own)[1]) {
    const float scale = dtilt[row];
    const Run of = factor.load(gene[row], col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) own[0].value[i] = fusedMultiplyAdd(scale, of.value[i], own[0].value[i]);
  });
}

/// A thread a cell and column; cells in x, where a grid takes as many as there may be.
DDSC_KERNEL(kRowThreads)
addStates(Global<const std::int32_t> offsets, CellSums sums, Rows<float> dstate) {
  const std::int64_t cell = blockIndex().x;
  const std::int64_t col = static_cast<std::int64_t>(blockIndex().y) * kRowThreads + threadIndex();
  if (col >= sums.cols) return;
  dstate[cell][col] = sums.total(cell, offsets[cell + 1] - offsets[cell], 0, col);
}

DDSC_KERNEL(kRowThreads)
addFactors(Global<const float> dtilt, Rows<const float> state, Global<const std::int32_t> cell,
           Global<const std::int32_t> ids, Global<const std::int32_t> starts, Global<const std::int32_t> rows,
           Rows<float> dfactor) {
  const std::int64_t group = rowOfWarp();
  if (group >= ids.size) return;
  const Global<float> to = dfactor[ids[group]];
  const std::int32_t begin = starts[group], end = starts[group + 1];
  for (std::int64_t col = laneIndex(); col < dfactor.cols; col += kWarpSize) {
    float sum = to[col];
    for (std::int32_t i = begin; i < end; ++i)
      sum = fusedMultiplyAdd(dtilt[rows[i]], state[cell[rows[i]]][col], sum);
    to[col] = sum;
  }
}

}  // namespace

void run(Context& context, const Tilt& op) {
  launch<tiltRows>(context.stream, "tilt", warpPerRow(op.tilt.size), rowsOf<float>(op.factor),
                   rowsOf<float>(op.state), globalOf(op.gene), globalOf(op.cell), globalOf(op.start),
                   globalOf(op.tilt));
}

void run(Context& context, const TiltGradient& op) {
  const CellSums sums = cellSums(context.scratch, op.rows, 1, op.dstate.cols);
  launch<sumStates>(context.stream, "tiltGradient", cellSumShape<1>(sums), globalOf(op.dtilt),
                    viewOf<float>(op.factor), globalOf(op.gene), globalOf(op.rows.offsets), sums);
  launch<addStates>(context.stream, "tiltGradient",
                    {.x = sums.cells, .y = ceilDivide(op.dstate.cols, kRowThreads), .threads = kRowThreads},
                    globalOf(op.rows.offsets), sums, rowsOf<float>(op.dstate));
  launch<addFactors>(context.stream, "tiltGradient", warpPerRow(op.byGene.ids.size), globalOf(op.dtilt),
                     rowsOf<float>(op.state), globalOf(op.rows.cell), globalOf(op.byGene.ids),
                     globalOf(op.byGene.starts), globalOf(op.byGene.rows), rowsOf<float>(op.dfactor));
}

}  // namespace ddsc::cuda
