#pragma once
// C = A B of bf16 operands on units that multiply pairs (gemm_bf16_kernel.h), beside gemm.h and with the same
// contract: finished tiles go to the epilogue, and no result depends on the number of threads. These units
// are so fast that what is around them binds, hence:
//   - B is packed whole, once, by all threads, in panels that lie in the order in which they are read;
//   - a task owns a block of C and walks the sum in sweeps of chunks: its rows of A for a sweep are packed
//     into the second-level cache, and a chunk of B's panel stays in the first while A's panels pass;
//   - the epilogue of a finished tile runs, and the next sweep of A is packed, while tiles are multiplied.

#include "cpu/gemm/gemm.h"
#include "cpu/gemm/gemm_bf16_kernel.h"

#if defined(DDSC_PAIR_UNITS)
#include "cpu/gemm/gemm_bf16_packing.h"
#endif

namespace ddsc::cpu::DDSC_ISA {

#if defined(DDSC_PAIR_UNITS)

/// A finished tile whose epilogue is still to run.
struct PendingTile {
  std::int64_t row = 0, col = 0, rows = 0, cols = 0;
  const float* tile = nullptr;
};

/// One thread's part of a product: takes tasks until none is left.
template <class Epilogue>
class PairWorker {
 public:
  DDSC_INLINE PairWorker(const Product& product, const PairBlocking& blocking, const bf16* packedB,
                         const Epilogue& epilogue, std::int64_t& nextTask)
      : product_(product), blocking_(blocking), packedB_(packedB), epilogue_(epilogue), nextTask_(nextTask) {}

  DDSC_INLINE static std::size_t scratchBytes(const PairBlocking& blocking) {
    return static_cast<std::size_t>(2 * blocking.packedRowElements()) * sizeof(bf16) +
           static_cast<std::size_t>(blocking.tilesKept() * kTileFloats +
                                    blocking.rowTilesPerTask * kPairRows) *
               sizeof(float);
  }

  DDSC_INLINE void run(void* scratch) {
    packedA_ = static_cast<bf16*>(scratch);
    bf16* otherA = packedA_ + blocking_.packedRowElements();
    tiles_ = reinterpret_cast<float*>(otherA + blocking_.packedRowElements());
    sums_ = tiles_ + blocking_.tilesKept() * kTileFloats;

    sweep_ = takeTask();
    if (!sweep_) return;
    RowPacking first(product_, blocking_, sweep_, packedA_);
    first.packUntil(first.pieces());
    const PairSession session;
    while (sweep_) {
      const PairSweep after = following();
      ahead_ = after ? RowPacking(product_, blocking_, after, otherA) : RowPacking();
      if (product_.rowSums && sweep_.firstPanel == 0) addRowSums();
      multiplySweep();
      ahead_.packUntil(ahead_.pieces());
      bf16* const used = packedA_;
      packedA_ = otherA;
      otherA = used;
      sweep_ = after;
    }
    finishPending(0, 1);
  }

 private:
  static constexpr std::int64_t kTileFloats = kPairRows * kPairCols;

  DDSC_INLINE PairSweep takeTask() const {
    return {product_, blocking_, __atomic_fetch_add(&nextTask_, 1, __ATOMIC_RELAXED), 0};
  }
  DDSC_INLINE PairSweep following() const {
    if (sweep_.endChunk == blocking_.chunks) return takeTask();
    return {product_, blocking_, sweep_.task, sweep_.endChunk / blocking_.chunksPerSweep};
  }

  DDSC_INLINE const bf16* packedChunk(std::int64_t chunk) const {
    return packedA_ + (chunk - sweep_.firstChunk) * blocking_.chunkSteps * kPairRowSpace * sweep_.rowTiles;
  }
  DDSC_INLINE float* tileOf(std::int64_t panel, std::int64_t rowTile) const {
    if (blocking_.chunks == 1) return tiles_;
    return tiles_ + ((blocking_.sweeps == 1 ? 0 : panel * blocking_.rowTilesPerTask) + rowTile) * kTileFloats;
  }

  /// The row sums of this sweep; with the last one they are added to the result.
  DDSC_INLINE void addRowSums() const {
    const std::int64_t rows = sweep_.rowTiles * kPairRows;
    if (sweep_.firstChunk == 0)
      for (std::int64_t i = 0; i < rows; ++i) sums_[i] = 0;
    for (std::int64_t chunk = sweep_.firstChunk; chunk < sweep_.endChunk; ++chunk) {
      const std::int64_t steps = blocking_.paddedStepsOf(chunk);
      for (std::int64_t i = 0; i < sweep_.rowTiles; ++i)
        addPairRowSums(packedChunk(chunk) + i * kPairRowSpace * steps, steps, sums_ + i * kPairRows);
    }
    if (sweep_.endChunk == blocking_.chunks)
      for (std::int64_t i = 0; i < sweep_.rows; ++i) product_.rowSums[sweep_.row + i] += sums_[i];
  }

  /// All tiles of the sweep: a chunk of one panel of B stays near while A's panels pass.
  DDSC_INLINE void multiplySweep() {
    const std::int64_t piecesAProduct = ceilDivide(ahead_.pieces(), sweep_.products());
    piecesDue_ = 0;
    for (std::int64_t panel = 0; panel < sweep_.panels; ++panel) {
      for (std::int64_t chunk = sweep_.firstChunk; chunk < sweep_.endChunk; ++chunk) {
        const std::int64_t steps = blocking_.paddedStepsOf(chunk);
        const bf16* a = packedChunk(chunk);
        const bf16* b = panelOf(panel) + blocking_.firstStep(chunk) * kPairCols;
        const bool moreChunks = chunk + 1 < sweep_.endChunk;
        const bf16* nextB = moreChunks
                                ? b + steps * kPairCols
                                : panelOf(panel + 1) + blocking_.firstStep(sweep_.firstChunk) * kPairCols;
        const bool anyNext = moreChunks || panel + 1 < sweep_.panels;
        const std::int64_t linesOfB =
            anyNext ? ceilDivide(steps * kPairCols / kLineElements, sweep_.rowTiles) : 0;
        for (std::int64_t i = 0; i < sweep_.rowTiles; ++i, a += kPairRowSpace * steps) {
          piecesDue_ = least(piecesDue_ + piecesAProduct, ahead_.pieces());
          multiplyTileOf(panel, i, chunk, steps, a, b, nextB + i * linesOfB * kLineElements, linesOfB);
        }
      }
    }
  }

  /// Elements of a cache line.
  static constexpr std::int64_t kLineElements = 32;

  DDSC_INLINE const bf16* panelOf(std::int64_t panel) const {
    return packedB_ + (sweep_.firstPanel + panel) * kPairCols * blocking_.paddedSteps;
  }

  /// A chunk of the sum of one tile. Beside it: the epilogue of the tile before it, the packing of the next
  /// sweep's rows, and asking for the lines of B that come next.
  DDSC_INLINE void multiplyTileOf(std::int64_t panel, std::int64_t rowTile, std::int64_t chunk,
                                  std::int64_t steps, const bf16* a, const bf16* b, const bf16* nextB,
                                  std::int64_t linesOfB) {
    const std::int64_t row = sweep_.row + rowTile * kPairRows;
    const std::int64_t rows = least(kPairRows, sweep_.rows - rowTile * kPairRows);
    const std::int64_t col = (sweep_.firstPanel + panel) * kPairCols;
    const bool last = chunk + 1 == blocking_.chunks;
    float* tile = tileOf(panel, rowTile);
    if (last) epilogue_.prepare(row, col, rows);
    const std::int64_t linesAPart = ceilDivide(linesOfB * kPieceSteps, steps);
    multiplyPairTile(rows, steps, a, b, tile, chunk == 0 ? Tile::overwrite : Tile::add,
                     [&](std::int64_t part, std::int64_t parts) __attribute__((always_inline)) {
                       for (std::int64_t line = part * linesAPart;
                            line < least(linesOfB, (part + 1) * linesAPart); ++line)
                         __builtin_prefetch(nextB + line * kLineElements, 0, 2);
                       finishPending(part, parts);
                       if (part + 1 == parts) ahead_.packUntil(piecesDue_);
                     });
    pending_.rows = 0;
    if (last) pending_ = {row, col, rows, least(kPairCols, product_.cols - col), tile};
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
  std::int64_t& nextTask_;
  PairSweep sweep_;
  RowPacking ahead_;
  std::int64_t piecesDue_ = 0;
  bf16* packedA_ = nullptr;
  float* tiles_ = nullptr;
  float* sums_ = nullptr;
  PendingTile pending_;
};

/// Runs the product of bf16 operands; as gemm.h's `multiply`.
template <class Epilogue>
void multiplyPairs(Context& context, const Product& product, const Epilogue& epilogue) {
  if (product.rows == 0 || product.cols == 0 || product.steps == 0) return;
  const PairBlocking blocking(product, context.pool.threads());
  const bf16* packedB = packSharedPairs(context, product, blocking);
  const std::size_t scratchBytes = PairWorker<Epilogue>::scratchBytes(blocking);
  std::int64_t nextTask = 0;
  context.pool.parallel(least(context.pool.threads(), blocking.tasks()), [&](std::int64_t, int worker) {
    PairWorker<Epilogue> part(product, blocking, packedB, epilogue, nextTask);
    part.run(context.scratch.worker(worker, scratchBytes));
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
    const std::int64_t atOnce = roundUp(ceilDivide(product.steps, pieces), kPieceSteps);
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
