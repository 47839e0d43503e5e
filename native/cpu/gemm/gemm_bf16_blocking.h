#pragma once
// How a product of bf16 pairs (gemm_bf16.h) is cut up. For levels that have a unit for pairs.

#include "cpu/gemm/gemm.h"
#include "cpu/gemm/gemm_bf16_kernel.h"

namespace ddsc::cpu::DDSC_ISA {

/// How a product of pairs is cut up: the sum into chunks (a panel of B fits the first-level cache beside one
/// of A) and sweeps of chunks (two sweeps' rows of A and a task's tiles fit the second), C into tasks. Cuts
/// of the sum follow from the number of its steps alone.
struct PairBlocking {
  static constexpr std::int64_t kMostChunkSteps = 256, kMostSweepSteps = 1024;
  static constexpr std::int64_t kMostRows = 256, kMostColsOfSweeps = 512;

  std::int64_t steps, chunkSteps, chunks, chunksPerSweep, sweeps, paddedSteps;
  std::int64_t rowTilesPerTask, colPanelsPerTask, rowTasks, colTasks, colPanels;

  DDSC_INLINE PairBlocking(const Product& product, std::int64_t threads) {
    steps = product.steps;
    chunkSteps = roundUp(ceilDivide(steps, ceilDivide(steps, kMostChunkSteps)), kPieceSteps);
    chunks = ceilDivide(steps, chunkSteps);
    chunksPerSweep = ceilDivide(chunks, ceilDivide(steps, kMostSweepSteps));
    sweeps = ceilDivide(chunks, chunksPerSweep);
    paddedSteps = roundUp(steps, kPairSteps);

    colPanels = ceilDivide(product.cols, kPairCols);
    const std::int64_t rowPanels = ceilDivide(product.rows, kPairRows);
    std::int64_t rowTiles = least(kMostRows / kPairRows, rowPanels);
    // Of more than one sweep, all unfinished tiles are kept, in the second-level cache.
    std::int64_t colTiles = sweeps == 1 ? colPanels : least(kMostColsOfSweeps / kPairCols, colPanels);
    // Enough tasks to keep all threads busy to the end.
    const std::int64_t wanted = threads == 1 ? 1 : 4 * threads;
    while (ceilDivide(rowPanels, rowTiles) * ceilDivide(colPanels, colTiles) < wanted &&
           rowTiles * colTiles > 8) {
      if (rowTiles * kPairRows > colTiles * kPairCols || colTiles == 1) {
        rowTiles = ceilDivide(rowTiles, 2);
      } else {
        colTiles = ceilDivide(colTiles, 2);
      }
    }
    // Even shares.
    rowTilesPerTask = ceilDivide(rowPanels, ceilDivide(rowPanels, rowTiles));
    colPanelsPerTask = ceilDivide(colPanels, ceilDivide(colPanels, colTiles));
    rowTasks = ceilDivide(rowPanels, rowTilesPerTask);
    colTasks = ceilDivide(colPanels, colPanelsPerTask);
  }

  DDSC_INLINE std::int64_t tasks() const { return rowTasks * colTasks; }
  DDSC_INLINE std::int64_t firstStep(std::int64_t chunk) const { return chunk * chunkSteps; }
  DDSC_INLINE std::int64_t stepsOf(std::int64_t chunk) const {
    return least(chunkSteps, steps - firstStep(chunk));
  }
  DDSC_INLINE std::int64_t paddedStepsOf(std::int64_t chunk) const {
    return roundUp(stepsOf(chunk), kPairSteps);
  }
  /// Unfinished and finished tiles that a worker keeps.
  DDSC_INLINE std::int64_t tilesKept() const {
    if (chunks == 1) return 1;
    return sweeps == 1 ? rowTilesPerTask : rowTilesPerTask * colPanelsPerTask;
  }
  /// A task's rows of A for a sweep.
  DDSC_INLINE std::int64_t packedRowElements() const {
    return rowTilesPerTask * kPairRowSpace * chunksPerSweep * chunkSteps;
  }
};

/// A task's block of C and one sweep of its sum: what a worker multiplies from one packing of A.
struct PairSweep {
  std::int64_t task = -1, row = 0, rows = 0, rowTiles = 0;
  std::int64_t firstPanel = 0, panels = 0;
  std::int64_t firstChunk = 0, endChunk = 0;

  DDSC_INLINE PairSweep() {}
  DDSC_INLINE PairSweep(const Product& product, const PairBlocking& blocking, std::int64_t index,
                        std::int64_t sweep) {
    if (index >= blocking.tasks()) return;
    task = index;
    row = index / blocking.colTasks * blocking.rowTilesPerTask * kPairRows;
    rows = least(blocking.rowTilesPerTask * kPairRows, product.rows - row);
    rowTiles = ceilDivide(rows, kPairRows);
    firstPanel = index % blocking.colTasks * blocking.colPanelsPerTask;
    panels = least(blocking.colPanelsPerTask, blocking.colPanels - firstPanel);
    firstChunk = sweep * blocking.chunksPerSweep;
    endChunk = least(firstChunk + blocking.chunksPerSweep, blocking.chunks);
  }

  DDSC_INLINE explicit operator bool() const { return task >= 0; }
  DDSC_INLINE std::int64_t products() const { return panels * (endChunk - firstChunk) * rowTiles; }
};

}  // namespace ddsc::cpu::DDSC_ISA
