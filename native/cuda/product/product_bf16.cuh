#pragma once
// The bf16 product on the matrix units: a block's tile, its warps' parts of it, and some steps at a time
// through a ring of shared memory that asynchronous copies fill ahead (as CUTLASS does for sm_80). Chunks of
// eight elements are permuted within a tile so that neither the copies nor ldmatrix meet a bank twice.

#include "cuda/product/product.cuh"

namespace ddsc::cuda {

template <int rows, int cols, int steps, int stages, int warpRows, int warpCols>
struct ProductTile {
  static constexpr int kRows = rows, kCols = cols, kSteps = steps, kStages = stages;
  static constexpr int kWarpRows = warpRows, kWarpCols = warpCols, kWarpsAcross = rows / warpRows;
  static constexpr int kThreads = kWarpsAcross * (cols / warpCols) * kWarpSize;
  static constexpr int kOperandA = rows * steps, kOperandB = cols * steps;  // elements of a tile of each
  static constexpr int kStage = kOperandA + kOperandB;
  using Finished = FinishedTile<kRows, kCols>;
  static constexpr std::size_t kRing = static_cast<std::size_t>(kStages) * kStage * sizeof(bf16);
  static constexpr std::size_t kFinished = static_cast<std::size_t>(Finished::kFloats) * sizeof(float);
  static constexpr std::size_t kSharedBytes = kRing > kFinished ? kRing : kFinished;

  static constexpr int kChunk = 8;  // elements of a 16-byte copy

  /// Place of a chunk in an operand's tile of `extent` rows: [extent][chunks of steps] where steps are
  /// contiguous, else [steps][chunks of extent].
  template <int extent, bool stepsContiguous>
  DDSC_DEVICE static int place(int line, int chunk) {
    constexpr int kLine = stepsContiguous ? kSteps : extent;
    return line * kLine + ((chunk ^ (kLine == 32 ? line >> 1 & 3 : line & 7)) * kChunk);
  }

  /// Begins to bring 128 by 32 elements of an operand from (first, step); what lies outside becomes 0.
  /// Operands that are not aligned come element by element, done when the call returns.
  template <int extent, bool aligned, bool stepsContiguous>
  DDSC_DEVICE static void fetch(Shared<bf16> tile, const Operand<bf16, stepsContiguous>& operand,
                                std::int64_t first, std::int64_t step, std::int64_t endStep) {
    constexpr int kChunks = (stepsContiguous ? kSteps : extent) / kChunk;
    // Along memory (a row of the operand's matrix) and within the row.
    const auto firstRow = static_cast<int>(stepsContiguous ? first : step);
    const auto firstCol = static_cast<int>(stepsContiguous ? step : first);
    const auto endRow = static_cast<int>(stepsContiguous ? operand.count : endStep);
    const auto endCol = static_cast<int>(stepsContiguous ? endStep : operand.count);
#pragma unroll
    for (int i = 0; i < extent * kSteps / kChunk / kThreads; ++i) {
      const int index = threadIndex() + i * kThreads;
      const int line = index / kChunks, chunk = index % kChunks;
      const int row = firstRow + line, col = firstCol + chunk * kChunk;
      const int left = least(endCol - col, kChunk);
      const int valid = row >= endRow || left < 0 ? 0 : left;
      const int to = place<extent, stepsContiguous>(line, chunk);
      const Global<const bf16> from =
          valid > 0 ? operand.rows[row] : Global<const bf16>{operand.rows.data, 0};
      if constexpr (aligned) {
        copyAsync(tile, to, from, col, valid);
      } else {
        for (int j = 0; j < kChunk; ++j) tile[to + j] = j < valid ? from[col + j] : bf16{0};
      }
    }
  }

  /// The fragment of rows first .. first + 15, steps step .. step + 15 of A's tile.
  template <bool stepsContiguous>
  DDSC_DEVICE static void loadA(std::uint32_t (&fragment)[4], Shared<bf16> tile, int first, int step) {
    const int lane = laneIndex();
    if constexpr (stepsContiguous) {
      loadMatrix4(fragment, tile + place<rows, true>(first + lane % 16, step / kChunk + lane / 16));
    } else {
      loadMatrix4Transposed(fragment, tile + place<rows, false>(step + lane / 16 * 8 + lane % 8,
                                                                (first + lane / 8 % 2 * 8) / kChunk));
    }
  }

  /// Two fragments: columns first .. first + 7 in [0], [1] and the next eight in [2], [3].
  template <bool stepsContiguous>
  DDSC_DEVICE static void loadB(std::uint32_t (&fragment)[4], Shared<bf16> tile, int first, int step) {
    const int lane = laneIndex();
    if constexpr (stepsContiguous) {
      loadMatrix4(fragment,
                  tile + place<cols, true>(first + lane / 16 * 8 + lane % 8, step / kChunk + lane / 8 % 2));
    } else {
      loadMatrix4Transposed(fragment, tile + place<cols, false>(step + lane / 8 % 2 * 8 + lane % 8,
                                                                (first + lane / 16 * 8) / kChunk));
    }
  }

  /// Runs the block's tile. `rowSums(row, sum)` gets the sums of A over the block's steps where `sumRows`.
  template <bool aligned, bool contiguousA, bool contiguousB, class Epilogue, class RowSums>
  DDSC_DEVICE static void run(const Product<Operand<bf16, contiguousA>, Operand<bf16, contiguousB>>& product,
                              const Epilogue& epilogue, bool sumRows, const RowSums& rowSums) {
    const TilePlace at = TilePlace::of(product, kRows, kCols);
    SharedMemory memory;
    const Shared<bf16> ring = memory.take<bf16>(kStages * kStage);
    const auto fetchStage = [&](int tile) {
      const std::int64_t step = at.firstStep + static_cast<std::int64_t>(tile) * kSteps;
      if (step < at.endStep) {
        const Shared<bf16> stage = ring + tile % kStages * kStage;
        fetch<rows, aligned>(stage, product.a, at.row, step, at.endStep);
        fetch<cols, aligned>(stage + kOperandA, product.b, at.col, step, at.endStep);
      }
      commitCopies();
    };

    constexpr int kRowFragments = kWarpRows / 16, kColFragments = kWarpCols / 8;
    const int warpRow = warpIndex() % kWarpsAcross * kWarpRows,
              warpCol = warpIndex() / kWarpsAcross * kWarpCols;
    const bool sumsHere = sumRows && at.col == 0 && warpCol == 0;
    constexpr std::uint32_t kOnes = 0x3F803F80u;
    constexpr auto kDown = static_cast<std::size_t>(kRowFragments),
                   kAcross = static_cast<std::size_t>(kColFragments);
    float sums[kDown][kAcross][4] = {};
    float aSums[kDown][4] = {};

    const auto tiles = static_cast<int>((at.endStep - at.firstStep + kSteps - 1) / kSteps);
    for (int tile = 0; tile < kStages - 1; ++tile) fetchStage(tile);
    for (int tile = 0; tile < tiles; ++tile) {
      waitForCopies<kStages - 2>();
      syncBlock();  // this tile is here, and nobody reads the one before it
      fetchStage(tile + kStages - 1);
      const Shared<bf16> tileA = ring + tile % kStages * kStage, tileB = tileA + kOperandA;
#pragma unroll
      for (int step = 0; step < kSteps; step += 16) {
        std::uint32_t a[kDown][4], b[kAcross / 2][4];
#pragma unroll
        for (int i = 0; i < kRowFragments; ++i) loadA<contiguousA>(a[i], tileA, warpRow + 16 * i, step);
#pragma unroll
        for (int j = 0; j < kColFragments / 2; ++j) loadB<contiguousB>(b[j], tileB, warpCol + 16 * j, step);
#pragma unroll
        for (int i = 0; i < kRowFragments; ++i) {
#pragma unroll
          for (int j = 0; j < kColFragments; ++j)
            multiplyAccumulate(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
          if (sumsHere) multiplyAccumulate(aSums[i], a[i], kOnes, kOnes);
        }
      }
    }
    waitForCopies<0>();
    syncBlock();  // the ring becomes the finished tile

    const int group = laneIndex() / 4, pair = laneIndex() % 4 * 2;
    SharedMemory again;
    const Shared<float> finished = again.take<float>(Finished::kFloats);
#pragma unroll
    for (int i = 0; i < kRowFragments; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = warpRow + 16 * i + 8 * half + group;
#pragma unroll
        for (int j = 0; j < kColFragments; ++j)
          finished.template store<2>(row * Finished::kStride + warpCol + 8 * j + pair,
                                     {{sums[i][j][2 * half], sums[i][j][2 * half + 1]}});
        if (sumsHere && pair == 0 && at.row + row < product.a.count)
          rowSums(at.split, at.row + row, aSums[i][2 * half]);
      }
    }
    syncBlock();
    Finished::template hand<kThreads>(finished, at, product, epilogue);
  }
};

/// Two blocks to a multiprocessor, each with the registers for the largest part that a warp can take.
struct ProductBf16 : ProductTile<128, 128, 32, 4, 64, 64> {
  static constexpr int kBlocks = 2;
};

}  // namespace ddsc::cuda
