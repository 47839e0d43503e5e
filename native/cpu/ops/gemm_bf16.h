#pragma once
// C = A B of bf16 operands on units that multiply pairs (gemm_bf16_kernel.h), beside gemm.h and with the same
// contract: finished tiles go to the epilogue, and no result depends on the number of threads. These units
// are so fast that what is around them binds, hence:
//   - B is packed whole, once, by all threads, in panels that lie in the order in which they are read;
//   - a task owns a block of C, packs its part of A for a sweep of the sum into the second-level cache, keeps
//   a
//     chunk of B's panel in the first level while A's panels stream past it, and goes on to the next panel;
//   - the epilogue of a finished tile runs while the next one is multiplied.

#include "cpu/ops/gemm.h"
#include "cpu/ops/gemm_bf16_kernel.h"

namespace ddsc::cpu::DDSC_ISA {

#if defined(DDSC_PAIR_UNITS)

DDSC_INLINE constexpr std::int64_t roundUp(std::int64_t a, std::int64_t to) { return ceilDivide(a, to) * to; }

/// How a product of pairs is cut up: the sum into chunks (a panel of B fits the first-level cache beside one
/// of A) and sweeps of chunks (a task's rows of A fit the second), C into tasks. Cuts of the sum follow from
/// the number of its steps alone.
struct PairBlocking {
  static constexpr std::int64_t kMostChunkSteps = 256, kMostSweepSteps = 1024, kMostSingleSweepSteps = 2048;
  static constexpr std::int64_t kMostRows = 256, kMostColsOfSweeps = 1024;

  std::int64_t steps, chunkSteps, chunks, chunksPerSweep, sweeps, paddedSteps;
  std::int64_t rowTilesPerTask, colPanelsPerTask, rowTasks, colTasks, colPanels;

  DDSC_INLINE PairBlocking(const Product& product, std::int64_t threads) {
    steps = product.steps;
    chunkSteps = roundUp(ceilDivide(steps, ceilDivide(steps, kMostChunkSteps)), kTileSteps);
    chunks = ceilDivide(steps, chunkSteps);
    sweeps = steps <= kMostSingleSweepSteps ? 1 : ceilDivide(steps, kMostSweepSteps);
    chunksPerSweep = ceilDivide(chunks, sweeps);
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

  DDSC_INLINE std::int64_t firstStep(std::int64_t chunk) const { return chunk * chunkSteps; }
  DDSC_INLINE std::int64_t stepsOf(std::int64_t chunk) const {
    return least(chunkSteps, steps - firstStep(chunk));
  }
  DDSC_INLINE std::int64_t paddedStepsOf(std::int64_t chunk) const {
    return roundUp(stepsOf(chunk), kPairSteps);
  }
  /// Unfinished and finished tiles that a task keeps.
  DDSC_INLINE std::int64_t tilesKept() const {
    if (chunks == 1) return 1;
    return sweeps == 1 ? rowTilesPerTask : rowTilesPerTask * colPanelsPerTask;
  }
  DDSC_INLINE std::int64_t packedRowElements() const {
    return rowTilesPerTask * kPairRowSpace * chunksPerSweep * chunkSteps;
  }
};

/// All of B in panels of kPairCols columns, each with all steps.
DDSC_INLINE const bf16* packSharedPairs(Context& context, const Product& product,
                                        const PairBlocking& blocking) {
  const std::int64_t panelStride = kPairCols * blocking.paddedSteps;
  const PackedWeights::Place place =
      product.placeOfB(context, blocking.colPanels * panelStride * sizeOf(DType::bf16));
  auto* packed = static_cast<bf16*>(place.memory);
  if (place.packed) return packed;
  constexpr std::int64_t panelsAtOnce = 8;
  const std::int64_t groups = ceilDivide(blocking.colPanels, panelsAtOnce);
  context.pool.parallel(blocking.chunks * groups, [&](std::int64_t index, int) {
    const std::int64_t chunk = index / groups, panel = index % groups * panelsAtOnce;
    const std::int64_t first = panel * kPairCols,
                       count = least(panelsAtOnce * kPairCols, product.cols - first);
    const std::int64_t firstStep = blocking.firstStep(chunk);
    packPanels<kPairCols, kPairCols>(
        PairBlock(product.b, first, count, firstStep, blocking.stepsOf(chunk), blocking.paddedStepsOf(chunk)),
        panelStride, packed + panel * panelStride + firstStep * kPairCols);
  });
  return packed;
}

/// A finished tile whose epilogue is still to run.
struct PendingTile {
  std::int64_t row = 0, col = 0, rows = 0, cols = 0;
  const float* tile = nullptr;
};

/// One task's block of C.
template <class Epilogue>
class PairTask {
 public:
  DDSC_INLINE PairTask(const Product& product, const PairBlocking& blocking, const bf16* packedB,
                       const Epilogue& epilogue, std::int64_t index)
      : product_(product),
        blocking_(blocking),
        packedB_(packedB),
        epilogue_(epilogue),
        row_(index / blocking.colTasks * blocking.rowTilesPerTask * kPairRows),
        firstPanel_(index % blocking.colTasks * blocking.colPanelsPerTask),
        rows_(least(blocking.rowTilesPerTask * kPairRows, product.rows - row_)),
        panels_(least(blocking.colPanelsPerTask, blocking.colPanels - firstPanel_)),
        rowTiles_(ceilDivide(rows_, kPairRows)) {}

  DDSC_INLINE static std::size_t scratchBytes(const PairBlocking& blocking) {
    return static_cast<std::size_t>(blocking.packedRowElements()) * sizeof(bf16) +
           static_cast<std::size_t>(blocking.tilesKept() * kTileFloats +
                                    blocking.rowTilesPerTask * kPairRows) *
               sizeof(float);
  }

  DDSC_INLINE void run(void* scratch) {
    packedA_ = static_cast<bf16*>(scratch);
    tiles_ = reinterpret_cast<float*>(packedA_ + blocking_.packedRowElements());
    float* sums = tiles_ + blocking_.tilesKept() * kTileFloats;
    const bool sumRows = product_.rowSums && firstPanel_ == 0;
    if (sumRows)
      for (std::int64_t i = 0; i < rowTiles_ * kPairRows; ++i) sums[i] = 0;

    const PairSession session;
    for (std::int64_t sweep = 0; sweep < blocking_.sweeps; ++sweep) {
      const std::int64_t firstChunk = sweep * blocking_.chunksPerSweep;
      const std::int64_t endChunk = least(firstChunk + blocking_.chunksPerSweep, blocking_.chunks);
      for (std::int64_t chunk = firstChunk; chunk < endChunk; ++chunk) {
        bf16* packed = packedChunk(firstChunk, chunk);
        const std::int64_t padded = blocking_.paddedStepsOf(chunk);
        packPairRows(
            PairBlock(product_.a, row_, rows_, blocking_.firstStep(chunk), blocking_.stepsOf(chunk), padded),
            packed);
        if (sumRows)
          for (std::int64_t i = 0; i < rowTiles_; ++i)
            addPairRowSums(packed + i * kPairRowSpace * padded, padded, sums + i * kPairRows);
      }
      for (std::int64_t panel = 0; panel < panels_; ++panel)
        for (std::int64_t chunk = firstChunk; chunk < endChunk; ++chunk)
          multiplyPanel(panel, firstChunk, chunk);
    }
    finishPending(0, 1);
    if (sumRows)
      for (std::int64_t i = 0; i < rows_; ++i) product_.rowSums[row_ + i] += sums[i];
  }

 private:
  static constexpr std::int64_t kTileFloats = kPairRows * kPairCols;

  DDSC_INLINE bf16* packedChunk(std::int64_t firstChunk, std::int64_t chunk) const {
    return packedA_ + (chunk - firstChunk) * blocking_.chunkSteps * kPairRowSpace * rowTiles_;
  }

  DDSC_INLINE float* tileOf(std::int64_t panel, std::int64_t rowTile) const {
    if (blocking_.chunks == 1) return tiles_;
    return tiles_ + ((blocking_.sweeps == 1 ? 0 : panel * blocking_.rowTilesPerTask) + rowTile) * kTileFloats;
  }

  /// A chunk of the sum, for one panel of columns and all rows.
  DDSC_INLINE void multiplyPanel(std::int64_t panel, std::int64_t firstChunk, std::int64_t chunk) {
    const std::int64_t steps = blocking_.paddedStepsOf(chunk);
    const std::int64_t wholePanel = firstPanel_ + panel, col = wholePanel * kPairCols;
    const bf16* a = packedChunk(firstChunk, chunk);
    const bf16* b =
        packedB_ + wholePanel * kPairCols * blocking_.paddedSteps + blocking_.firstStep(chunk) * kPairCols;
    const bool last = chunk + 1 == blocking_.chunks;
    for (std::int64_t i = 0; i < rowTiles_; ++i, a += kPairRowSpace * steps) {
      const std::int64_t rows = least(kPairRows, rows_ - i * kPairRows);
      float* tile = tileOf(panel, i);
      if (last) epilogue_.prepare(row_ + i * kPairRows, col, rows);
      multiplyPairTile(rows, steps, a, b, tile, chunk == 0 ? Tile::overwrite : Tile::add,
                       [this](std::int64_t part, std::int64_t parts)
                           __attribute__((always_inline)) { finishPending(part, parts); });
      pending_.rows = 0;
      if (last) pending_ = {row_ + i * kPairRows, col, rows, least(kPairCols, product_.cols - col), tile};
    }
  }

  /// A part of the pending tile's epilogue.
  DDSC_INLINE void finishPending(std::int64_t part, std::int64_t parts) const {
    const std::int64_t share = ceilDivide(kPairRows, parts);
    const std::int64_t first = part * share, end = least(first + share, pending_.rows);
    if (first >= end) return;
    epilogue_(pending_.row + first, pending_.col, end - first, pending_.cols,
              pending_.tile + first * kPairCols);
  }

  const Product& product_;
  const PairBlocking& blocking_;
  const bf16* packedB_;
  const Epilogue& epilogue_;
  std::int64_t row_, firstPanel_, rows_, panels_, rowTiles_;
  bf16* packedA_ = nullptr;
  float* tiles_ = nullptr;
  PendingTile pending_;
};

/// Runs the product of bf16 operands; as gemm.h's `multiply`.
template <class Epilogue>
void multiplyPairs(Context& context, const Product& product, const Epilogue& epilogue) {
  if (product.rows == 0 || product.cols == 0 || product.steps == 0) return;
  const PairBlocking blocking(product, context.pool.threads());
  const bf16* packedB = packSharedPairs(context, product, blocking);
  context.pool.parallel(blocking.rowTasks * blocking.colTasks, [&](std::int64_t index, int worker) {
    PairTask<Epilogue> task(product, blocking, packedB, epilogue, index);
    task.run(context.scratch.worker(worker, PairTask<Epilogue>::scratchBytes(blocking)));
  });
}

/// Most steps of a sum whose operands are packed at once, where what an epilogue finishes can be added to.
inline constexpr std::int64_t kMostStepsAtOnce = 4096;

/// An operand from a step on.
DDSC_INLINE Operand stepsFrom(Operand operand, std::int64_t first) {
  const std::int64_t elements = operand.stepsContiguous ? first : first * operand.stride;
  operand.data = static_cast<const bf16*>(operand.data) + elements;
  return operand;
}

#endif

/// The product on the unit that its operands' type has at this level.
template <class Epilogue>
DDSC_INLINE void multiplyByType(Context& context, const Product& product, const Epilogue& epilogue) {
#if defined(DDSC_PAIR_UNITS)
  if (product.a.type == DType::bf16) return multiplyPairs(context, product, epilogue);
#endif
  multiply(context, product, epilogue);
}

/// As multiplyByType, for an epilogue that adds to what is there: long sums come in pieces, cut by their
/// number of steps alone, so that little is packed at once.
template <class Epilogue>
DDSC_INLINE void accumulateByType(Context& context, const Product& product, const Epilogue& epilogue) {
#if defined(DDSC_PAIR_UNITS)
  if (product.a.type == DType::bf16) {
    const std::int64_t pieces = most(1, ceilDivide(product.steps, kMostStepsAtOnce));
    const std::int64_t atOnce = roundUp(ceilDivide(product.steps, pieces), kTileSteps);
    for (std::int64_t first = 0; first < product.steps; first += atOnce) {
      Product piece = product;
      piece.a = stepsFrom(product.a, first);
      piece.b = stepsFrom(product.b, first);
      piece.steps = least(atOnce, product.steps - first);
      multiplyPairs(context, piece, epilogue);
    }
    return;
  }
#endif
  multiply(context, product, epilogue);
}

}  // namespace ddsc::cpu::DDSC_ISA
