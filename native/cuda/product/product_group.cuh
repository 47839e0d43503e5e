#pragma once
// The bf16 product on the matrix units of Hopper GPUs, which multiply from shared memory while the threads
// copy what comes next: two groups of four warps make 64 rows each of a block's tile.

#include "cuda/product/product.cuh"

namespace ddsc::cuda {

struct ProductGroup {
  static constexpr int kGroups = 2, kRows = kGroups * kGroupRows, kCols = kGroupCols, kSteps = kGroupSteps,
                       kStages = 4;
  static constexpr int kThreads = kGroups * 4 * kWarpSize, kBlocks = 1;
  static constexpr int kOperandA = kRows * kSteps, kOperandB = kCols * kSteps;  // elements of a tile of each
  static constexpr int kStage = kOperandA + kOperandB;
  using Finished = FinishedTile<kRows, kCols>;
  static constexpr std::size_t kSharedBytes = static_cast<std::size_t>(kStages) * kStage * sizeof(bf16);
  static_assert(kSharedBytes >= static_cast<std::size_t>(Finished::kFloats) * sizeof(float));

  /// Begins to bring a tile of an operand from (first, step), rows of 16-byte aligned memory; what lies
  /// outside becomes 0.
  template <int extent, bool stepsContiguous>
  DDSC_DEVICE static void fetch(Shared<bf16> tile, const Operand<bf16, stepsContiguous>& operand,
                                std::int64_t first, std::int64_t step, std::int64_t endStep) {
    constexpr int kChunk = 8;
    constexpr int kChunks = (stepsContiguous ? kSteps : extent) / kChunk;  // of a row of memory
    const auto firstRow = static_cast<int>(stepsContiguous ? first : step);
    const auto firstCol = static_cast<int>(stepsContiguous ? step : first);
    const auto endRow = static_cast<int>(stepsContiguous ? operand.count : endStep);
    const auto endCol = static_cast<int>(stepsContiguous ? endStep : operand.count);
#pragma unroll
    for (int i = 0; i < extent * kSteps / kChunk / kThreads; ++i) {
      const int index = threadIndex() + i * kThreads;
      const int row = index / kChunks, chunk = index % kChunks;
      const int left = least(endCol - firstCol - chunk * kChunk, kChunk);
      const int valid = firstRow + row >= endRow || left < 0 ? 0 : left;
      const int line = row + chunk / 8 * kSteps;
      copyAsync(tile, groupChunk(line, chunk % 8),
                valid > 0 ? operand.rows[firstRow + row] : Global<const bf16>{operand.rows.data, 0},
                firstCol + chunk * kChunk, valid);
    }
  }

  /// Runs the block's tile. `rowSums(split, row, sum)` gets the sums of A over the block's steps where
  /// `sumRows`.
  template <bool contiguousA, bool contiguousB, class Epilogue, class RowSums>
  DDSC_DEVICE static void run(const Product<Operand<bf16, contiguousA>, Operand<bf16, contiguousB>>& product,
                              const Epilogue& epilogue, bool sumRows, const RowSums& rowSums) {
    const TilePlace at = TilePlace::of(product, kRows, kCols);
    SharedMemory memory;
    const Shared<bf16> ring = memory.take<bf16>(kStages * kStage);
    const auto fetchStage = [&](int tile) {
      const std::int64_t step = at.firstStep + static_cast<std::int64_t>(tile) * kSteps;
      if (step < at.endStep) {
        const Shared<bf16> stage = ring + tile % kStages * kStage;
        fetch<kRows>(stage, product.a, at.row, step, at.endStep);
        fetch<kCols>(stage + kOperandA, product.b, at.col, step, at.endStep);
      }
      commitCopies();
    };

    const int group = warpIndex() / 4;
    const bool sumsHere = sumRows && at.col == 0;
    float sums[32][4] = {};
    float rowSum = 0;

    // A tile's products are under way while the next is awaited: the ring holds both, and those on their way.
    constexpr int kAhead = kStages - 2;
    const auto tiles = static_cast<int>((at.endStep - at.firstStep + kSteps - 1) / kSteps);
    for (int tile = 0; tile < kAhead; ++tile) fetchStage(tile);
    for (int tile = 0; tile < tiles; ++tile) {
      waitForCopies<kAhead - 1>();
      showToProducts();
      syncBlock();  // this tile is here, and nobody reads the one before the last
      const Shared<bf16> stage = ring + tile % kStages * kStage;
      beginProducts();
#pragma unroll
      for (int step = 0; step < kSteps; step += 16)
        multiplyGroup<contiguousA, contiguousB>(sums, stage + group * kGroupRows * kSteps, stage + kOperandA,
                                                step);
      commitProducts();
      fetchStage(tile + kAhead);
      if constexpr (!contiguousA) {
        if (sumsHere) rowSum += sumOfRow(stage);
      }
      waitForProducts<1>();
    }
    waitForCopies<0>();
    waitForProducts<0>();
    takeSums(sums);
    syncBlock();  // the ring becomes the finished tile

    SharedMemory again;
    const Shared<float> finished = again.take<float>(Finished::kFloats);
    if constexpr (!contiguousA) {
      if (sumsHere) {
        finished[threadIndex()] = rowSum;
        syncBlock();
        const int row = threadIndex();
        if (row < kRows && at.row + row < product.a.count)
          rowSums(at.split, at.row + row, finished[row] + finished[kRows + row]);
        syncBlock();
      }
    }
    const int first = warpIndex() * 16 + laneIndex() / 4, pair = laneIndex() % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int j = 0; j < kCols / 8; ++j)
        finished.template store<2>((first + 8 * half) * Finished::kStride + 8 * j + pair,
                                   {{sums[j][2 * half], sums[j][2 * half + 1]}});
    }
    syncBlock();
    Finished::template hand<kThreads>(finished, at, product, epilogue);
  }

 private:
  /// This thread's half of the steps of one row of A's tile, whose rows are contiguous: of row
  /// `threadIndex() % kRows`.
  DDSC_DEVICE static float sumOfRow(Shared<bf16> tile) {
    static_assert(kThreads == 2 * kRows);
    const int row = threadIndex() % kRows, half = threadIndex() / kRows;
    float sum = 0;
#pragma unroll 8
    for (int i = 0; i < kSteps / 2; ++i) {
      const int line = row / kGroupRows * kSteps + half * (kSteps / 2) + i;
      sum += toFloat(tile[groupChunk(line, row % kGroupRows / 8) + row % 8]);
    }
    return sum;
  }
};

}  // namespace ddsc::cuda
