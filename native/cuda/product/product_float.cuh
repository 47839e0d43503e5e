#pragma once
// The float32 product on the plain units: tiles of 64 x 64, a 4 x 4 corner a thread, 16 steps at a time. For
// parity and for the conditioning network, which stays float32: fused multiply-adds in float32, steps
// ascending, sixteen at a time.

#include "cuda/product/product.cuh"

namespace ddsc::cuda {

struct ProductFloat {
  static constexpr int kRows = 64, kCols = 64, kSteps = 16, kThreads = 256;
  static constexpr int kBlocks = 2;       // of a multiprocessor, at least: 128 registers a thread
  static constexpr int kStride = 64 + 4;  // of a step in a tile [steps][64]
  using Finished = FinishedTile<kRows, kCols>;
  static constexpr std::size_t kTiles = 2 * static_cast<std::size_t>(kSteps) * kStride * sizeof(float);
  static constexpr std::size_t kFinished = static_cast<std::size_t>(Finished::kFloats) * sizeof(float);
  static constexpr std::size_t kSharedBytes = kTiles > kFinished ? kTiles : kFinished;

  /// 64 by 16 elements from (first, step) into [steps][64]; what lies outside becomes 0. Neighbouring threads
  /// read neighbouring elements.
  template <bool stepsContiguous>
  DDSC_DEVICE static void fetch(Shared<float> tile, const Operand<float, stepsContiguous>& operand,
                                std::int64_t first, std::int64_t step, std::int64_t endStep) {
#pragma unroll
    for (int i = 0; i < 64 * kSteps / kThreads; ++i) {
      const int index = threadIndex() + i * kThreads;
      const int along = stepsContiguous ? index / kSteps : index % 64;
      const int at = stepsContiguous ? index % kSteps : index / 64;
      const bool inside = first + along < operand.count && step + at < endStep;
      tile[at * kStride + along] = inside ? operand.at(first + along, step + at) : 0.0f;
    }
  }

  template <bool contiguousA, bool contiguousB, class Epilogue, class RowSums>
  DDSC_DEVICE static void run(
      const Product<Operand<float, contiguousA>, Operand<float, contiguousB>>& product,
      const Epilogue& epilogue, bool sumRows, const RowSums& rowSums) {
    const TilePlace at = TilePlace::of(product, kRows, kCols);
    SharedMemory memory;
    const Shared<float> tileA = memory.take<float>(kSteps * kStride);
    const Shared<float> tileB = memory.take<float>(kSteps * kStride);
    const int row = threadIndex() / 16 * 4, col = threadIndex() % 16 * 4;
    const bool sumsHere = sumRows && at.col == 0 && col == 0;
    float sums[4][4] = {};
    float aSums[4] = {};
    for (std::int64_t step = at.firstStep; step < at.endStep; step += kSteps) {
      fetch(tileA, product.a, at.row, step, at.endStep);
      fetch(tileB, product.b, at.col, step, at.endStep);
      syncBlock();
      float part[4][4] = {};  // of this tile: a sum of sums loses less
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        const Vector<float, 4> a = tileA.template load<4>(k * kStride + row);
        const Vector<float, 4> b = tileB.template load<4>(k * kStride + col);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) part[i][j] = fusedMultiplyAdd(a.value[i], b.value[j], part[i][j]);
          if (sumsHere) aSums[i] += a.value[i];
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += part[i][j];
      }
      syncBlock();
    }
    SharedMemory again;
    const Shared<float> finished = again.take<float>(Finished::kFloats);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      finished.template store<4>((row + i) * Finished::kStride + col,
                                 {{sums[i][0], sums[i][1], sums[i][2], sums[i][3]}});
      if (sumsHere && at.row + row + i < product.a.count) rowSums(at.split, at.row + row + i, aSums[i]);
    }
    syncBlock();
    Finished::hand<kThreads>(finished, at, product, epilogue);
  }
};

}  // namespace ddsc::cuda
