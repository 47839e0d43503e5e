#pragma once
// Sums over the rows of each cell, column by column, in a fixed order: blocks of up to kRowsPerBlock rows of
// one cell leave their sums in scratch memory, then a thread a column adds the blocks of its cell in order.

#include "cuda/context.h"
#include "cuda/ops/elements.cuh"
#include "ops/gpu_scratch.h"

namespace ddsc::cuda {

inline constexpr int kRowsPerBlock = gpu::kCellRowsPerBlock, kColsPerBlock = kWarpSize * kRun;

/// Blocks' sums: `which` of `count` kinds, [cells, blocks, kinds, cols].
struct CellSums {
  float* data;
  std::int64_t blocks, kinds, cols, cells;

  DDSC_DEVICE Global<float> of(std::int64_t cell, std::int64_t block, std::int64_t kind) const {
    return {data + ((cell * blocks + block) * kinds + kind) * cols, cols};
  }
  /// The sum over a cell's rows of one column.
  DDSC_DEVICE float total(std::int64_t cell, std::int64_t rows, std::int64_t kind, std::int64_t col) const {
    float sum = 0;
    for (std::int64_t block = 0; block * kRowsPerBlock < rows; ++block) sum += of(cell, block, kind)[col];
    return sum;
  }
};

inline CellSums cellSums(Scratch& scratch, const Ragged& cells, std::int64_t kinds, std::int64_t cols) {
  return {scratch.take<float>(gpu::cellSumFloats(cells, kinds, cols)), gpu::cellSumBlocks(cells), kinds, cols,
          cells.cells()};
}

/// The grid of a kernel that calls `sumCellRows`. What z may be is enough for cells of eight million rows.
template <int kinds>
LaunchShape cellSumShape(const CellSums& sums) {
  return {.x = sums.cells,
          .y = ceilDivide(sums.cols, kColsPerBlock),
          .z = sums.blocks,
          .threads = kRowThreads,
          .sharedBytes = sizeof(float) * kinds * kWarpsPerBlock * kColsPerBlock};
}

/// In a block of `cellSumShape`: terms(row, col, count, Run (&sums)[kinds]) adds one row's values.
template <int kinds, class Terms>
DDSC_DEVICE void sumCellRows(Global<const std::int32_t> offsets, const CellSums& sums, const Terms& terms) {
  const Index block = blockIndex();
  const std::int64_t first = offsets[block.x] + static_cast<std::int64_t>(block.z) * kRowsPerBlock;
  const std::int64_t end = least(first + kRowsPerBlock, std::int64_t{offsets[block.x + 1]});
  if (first >= end) return;
  const std::int64_t col = static_cast<std::int64_t>(block.y) * kColsPerBlock + laneIndex() * kRun;
  const std::int64_t left = sums.cols - col;
  const int count = left >= kRun ? kRun : left > 0 ? static_cast<int>(left) : 0;
  Run own[static_cast<std::size_t>(kinds)] = {};
  if (count > 0)
    for (std::int64_t row = first + warpIndex(); row < end; row += kWarpsPerBlock)
      terms(row, col, count, own);
  SharedMemory memory;
  const Shared<float> shared = memory.take<float>(kinds * kWarpsPerBlock * kColsPerBlock);
  const auto place = [](int kind, int warp) {
    return (kind * kWarpsPerBlock + warp) * kColsPerBlock + laneIndex() * kRun;
  };
#pragma unroll
  for (int kind = 0; kind < kinds; ++kind) shared.template store<kRun>(place(kind, warpIndex()), own[kind]);
  syncBlock();
  if (warpIndex() >= kinds || count == 0) return;
  const int kind = warpIndex();
  Run total{};
  for (int warp = 0; warp < kWarpsPerBlock; ++warp) {
    const Run part = shared.template load<kRun>(place(kind, warp));
#pragma unroll
    for (int i = 0; i < kRun; ++i) total.value[i] += part.value[i];
  }
  const Global<float> to = sums.of(block.x, block.z, kind);
#pragma unroll
  for (int i = 0; i < kRun; ++i)
    if (i < count) to[col + i] = total.value[i];
}

}  // namespace ddsc::cuda
