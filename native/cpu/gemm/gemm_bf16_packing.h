#pragma once
// What a product of bf16 pairs (gemm_bf16.h) packs: B whole and at once, A sweep by sweep. For levels that
// have a unit for pairs.

#include "cpu/gemm/gemm_bf16_blocking.h"
#include "cpu/gemm/gemm_pack_pairs.h"

namespace ddsc::cpu::DDSC_ISA {

/// All of B in panels of kPairCols columns, each with all steps.
DDSC_INLINE const bf16* packSharedPairs(Context& context, const Product& product,
                                        const PairBlocking& blocking) {
  const std::int64_t panelStride = kPairCols * blocking.paddedSteps;
  const PackedWeights::Place place =
      product.placeOfB(context, blocking.colPanels * panelStride * sizeOf(DType::bf16));
  auto* packed = static_cast<bf16*>(place.memory);
  if (place.packed) return packed;
  // Neighbouring panels together: where steps are not contiguous, a line of the source serves two.
  constexpr std::int64_t panelsAtOnce = 8;
  const std::int64_t groups = ceilDivide(blocking.colPanels, panelsAtOnce);
  context.pool.parallel(blocking.chunks * groups, [&](std::int64_t index, int) {
    const std::int64_t firstStep = blocking.firstStep(index / groups), end = firstStep + blocking.chunkSteps;
    const std::int64_t firstCol = index % groups * panelsAtOnce * kPairCols;
    const std::int64_t endCol = least(firstCol + panelsAtOnce * kPairCols, product.cols);
    for (std::int64_t step = firstStep; step < least(end, blocking.steps); step += kPieceSteps) {
      const std::int64_t pairs = least(kPieceSteps, blocking.paddedSteps - step) / 2;
      for (std::int64_t col = firstCol; col < endCol; col += kPieceRows) {
        const PairPiece piece(product.b, col, product.cols - col, step, blocking.steps - step);
        packPiece<PieceOrder::byPair>(
            piece, pairs, 2 * kPairCols,
            packed + col / kPairCols * panelStride + step * kPairCols + 2 * (col % kPairCols));
      }
    }
  });
  return packed;
}

/// The packing of a sweep's rows of A, piece by piece. Chunks follow one another, in each the panels in the
/// order in which they are read.
class RowPacking {
 public:
  DDSC_INLINE RowPacking() {}
  DDSC_INLINE RowPacking(const Product& product, const PairBlocking& blocking, const PairSweep& sweep,
                         bf16* out)
      : operand_(&product.a),
        blocking_(&blocking),
        sweep_(sweep),
        out_(out),
        firstStep_(blocking.firstStep(sweep.firstChunk)),
        endStep_(least(blocking.steps, blocking.firstStep(sweep.endChunk))),
        groups_(ceilDivide(sweep.rows, kPairPieceRows)),
        stepPieces_(ceilDivide(endStep_ - firstStep_, kPieceSteps)) {}

  DDSC_INLINE std::int64_t pieces() const { return groups_ * stepPieces_; }

  /// Packs the next pieces until `end` are packed, and asks for what follows them.
  DDSC_INLINE void packUntil(std::int64_t end) {
    for (; next_ < end; ++next_) {
      if (next_ + kAhead < pieces()) locate(next_ + kAhead).piece.fetch();
      const Place place = locate(next_);
      packRowPiece(place.piece, place.steps, place.which, place.out);
    }
  }

 private:
  static constexpr std::int64_t kAhead = 2;

  struct Place {
    PairPiece piece;
    std::int64_t steps, which;
    bf16* out;
  };

  /// Pieces are taken along the rows of memory.
  DDSC_INLINE Place locate(std::int64_t index) const {
    const bool alongSteps = operand_->stepsContiguous;
    const std::int64_t group = alongSteps ? index / stepPieces_ : index % groups_;
    const std::int64_t stepPiece = alongSteps ? index % stepPieces_ : index / groups_;
    const std::int64_t step = firstStep_ + stepPiece * kPieceSteps, row = group * kPairPieceRows;
    const std::int64_t chunk = step / blocking_->chunkSteps, inChunk = step % blocking_->chunkSteps;
    const std::int64_t padded = blocking_->paddedStepsOf(chunk);
    bf16* panel = out_ +
                  (chunk - sweep_.firstChunk) * blocking_->chunkSteps * kPairRowSpace * sweep_.rowTiles +
                  group / kPanelPieces * kPairRowSpace * padded;
    return {PairPiece(*operand_, sweep_.row + row, sweep_.rows - row, step, endStep_ - step),
            least(kPieceSteps, padded - inChunk), group % kPanelPieces, panel + inChunk * kPairRowSpace};
  }

  const Operand* operand_ = nullptr;
  const PairBlocking* blocking_ = nullptr;
  PairSweep sweep_;
  bf16* out_ = nullptr;
  std::int64_t firstStep_ = 0, endStep_ = 0, groups_ = 0, stepPieces_ = 1, next_ = 0;
};

}  // namespace ddsc::cpu::DDSC_ISA
