#pragma once
// Packing of bf16 operands for units that multiply pairs: two neighbouring steps of the sum stand side by
// side as one 32-bit element, the even step in its lower half. All packing is done in pieces of 16 rows of
// the operand by 32 steps, 16 vectors of 16 pairs, which are laid down
//   by pair   a vector holds one pair of steps of 16 rows: panels [step / 2][rows][2] that are read along the
//   rows; by row    a vector holds 16 pairs of one row: tiles [16 rows][32 steps].
// Steps past the end of the sum are zero in both operands; rows past the edge hold repeated rows or zeros
// that only reach results nobody stores.

#include "cpu/gemm/gemm_pack.h"
#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kPieceRows = 16;
inline constexpr std::int64_t kPieceSteps = 32;

/// 32 neighbouring elements of a row as 16 pairs; those from `count` on are zero.
DDSC_INLINE F loadPairs(const bf16* p) { return {_mm512_loadu_ps(p)}; }
DDSC_INLINE F loadPairs(const bf16* p, std::int64_t count) {
  const std::int64_t present = most(0, least(count, kPieceSteps));
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << present) - 1);
  return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, p))};
}

DDSC_INLINE void storePairs(bf16* p, F pairs) { _mm512_storeu_ps(p, pairs.v); }

/// 16 neighbouring elements of two rows, interleaved.
DDSC_INLINE F interleave(const bf16* even, const bf16* odd) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(even)));
  const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(odd)));
  return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
}
/// The same of the first `count` elements of each, zeros after them; of `rows` rows, 0 to 2.
DDSC_INLINE F interleave(const bf16* even, const bf16* odd, std::int64_t count, std::int64_t rows) {
  const __mmask16 lanes = maskOfFirst(least(count, kWidth));
  const auto widened = [](__mmask16 mask, const bf16* p) __attribute__((always_inline)) {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p));
  };
  const __m512i low = widened(rows > 0 ? lanes : __mmask16{0}, even);
  const __m512i high = widened(rows > 1 ? lanes : __mmask16{0}, odd);
  return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
}

/// A piece of an operand: its first element, and how many of its 16 rows and 32 steps there are.
struct PairPiece {
  const bf16* data;
  std::int64_t stride;
  bool stepsContiguous;
  std::int64_t rows, steps;

  DDSC_INLINE PairPiece(const Operand& operand, std::int64_t row, std::int64_t rowCount, std::int64_t step,
                        std::int64_t stepCount)
      : data(static_cast<const bf16*>(operand.data) +
             (operand.stepsContiguous ? row * operand.stride + step : step * operand.stride + row)),
        stride(operand.stride),
        stepsContiguous(operand.stepsContiguous),
        rows(least(rowCount, kPieceRows)),
        steps(least(stepCount, kPieceSteps)) {}

  DDSC_INLINE bool isWhole() const { return rows == kPieceRows && steps == kPieceSteps; }
  /// Asks for the piece to be brought near.
  DDSC_INLINE void fetch() const {
    for (std::int64_t i = 0; i < (stepsContiguous ? rows : steps); ++i) __builtin_prefetch(data + i * stride);
  }
};

enum class PieceOrder { byPair, byRow };

/// Packs a piece as its first `vectors` vectors, `spacing` elements apart.
template <PieceOrder order>
DDSC_INLINE void packPiece(const PairPiece& piece, std::int64_t vectors, std::int64_t spacing, bf16* out) {
  F pairs[kWidth];
  if (piece.stepsContiguous) {
    if (piece.isWhole()) {
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kWidth; ++r) pairs[r] = loadPairs(piece.data + r * piece.stride);
    } else {
      for (std::int64_t r = 0; r < kWidth; ++r)
        pairs[r] = loadPairs(piece.data + least(r, piece.rows - 1) * piece.stride, piece.steps);
    }
    if constexpr (order == PieceOrder::byPair) transpose(pairs);
  } else {
    if (piece.isWhole()) {
#pragma GCC unroll 16
      for (std::int64_t p = 0; p < kWidth; ++p) {
        const bf16* even = piece.data + 2 * p * piece.stride;
        pairs[p] = interleave(even, even + piece.stride);
      }
    } else {
      for (std::int64_t p = 0; p < kWidth; ++p) {
        const bf16* even = piece.data + 2 * p * piece.stride;
        pairs[p] = interleave(even, even + piece.stride, piece.rows, piece.steps - 2 * p);
      }
    }
    if constexpr (order == PieceOrder::byRow) transpose(pairs);
  }
  if (vectors == kWidth) {
#pragma GCC unroll 16
    for (std::int64_t v = 0; v < kWidth; ++v) storePairs(out + v * spacing, pairs[v]);
  } else {
    for (std::int64_t v = 0; v < vectors; ++v) storePairs(out + v * spacing, pairs[v]);
  }
}

/// The sum of each pair, in float32.
DDSC_INLINE F sumOfPairs(const bf16* pairs) {
  const I bits = bitsOf(loadPairs(pairs));
  return fromBits(shiftLeft<16>(bits)) + fromBits(bits & setInt(0xFFFF0000u));
}

}  // namespace ddsc::cpu::DDSC_ISA
