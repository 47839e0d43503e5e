#pragma once
// Micro-kernels of units that multiply bf16 pairs: C[rows, 32] (+)= A B over a chunk of the sum, both
// operands packed (gemm_pack_pairs.h), C float32 and 32 columns wide. A level has one of
//   AMX           32 x 32 of C in four tile registers; A in tiles, B in panels of pairs;
//   AVX512-BF16   14 x 32 of C in 28 vectors; A and B in panels of pairs;
//   neither       DDSC_PAIR_UNITS is not defined, and there is nothing here.
// Both sum step by step from what C holds, so the cuts of a sum do not show in its result.

#include "cpu/gemm/gemm_kernel.h"

#if defined(__AMX_BF16__) || defined(DDSC_EMULATED_TILES)
#define DDSC_TILES
#include "cpu/simd/tiles.h"
#endif
#if defined(DDSC_TILES) || defined(__AVX512BF16__)
#define DDSC_PAIR_UNITS
#include "cpu/gemm/gemm_pack_pairs.h"
#endif

namespace ddsc::cpu::DDSC_ISA {

/// Columns of a finished tile, as every epilogue takes it.
inline constexpr std::int64_t kPairCols = kTileCols;

#if defined(DDSC_TILES)

/// Rows of C a micro-kernel computes, of a panel of A. A panel's pieces, and its elements a step.
inline constexpr std::int64_t kPairRows = 2 * kPieceRows;
inline constexpr std::int64_t kPanelPieces = 2;
inline constexpr std::int64_t kPairRowSpace = kPairRows;
/// Rows of C whose operands a piece holds.
inline constexpr std::int64_t kPairPieceRows = kPieceRows;
/// Steps the unit takes at once: what a sum is padded to.
inline constexpr std::int64_t kPairSteps = kPieceSteps;

/// What a task holds while it multiplies.
using PairSession = TileSession;

/// Packs one of the pieces of A that lie side by side in a panel, of `steps` padded steps, at its first step.
DDSC_INLINE void packRowPiece(const PairPiece& piece, std::int64_t, std::int64_t which, bf16* out) {
  packPiece<PieceOrder::byRow>(piece, kPieceRows, kPieceSteps, out + which * kPieceRows * kPieceSteps);
}

/// sums[row] += sum of a packed panel over its steps (a multiple of 32).
DDSC_INLINE void addPairRowSums(const bf16* panel, std::int64_t steps, float* sums) {
  for (std::int64_t row = 0; row < kPairRows; ++row) {
    F total = zero();
    for (std::int64_t step = 0; step < steps; step += kPieceSteps)
      total = total + sumOfPairs(panel + step * kPairRows + row * kPieceSteps);
    sums[row] += sum(total);
  }
}

/// C's upper 16 rows, or all 32; `beside(block, blocks)` is called once for each 32 steps, for work of the
/// vector units while the tiles multiply.
template <int rowTiles, class Beside>
DDSC_INLINE void multiplyTiles(std::int64_t steps, const bf16* a, const bf16* b, float* c, Tile mode,
                               const Beside& beside) {
  constexpr std::int64_t half = kTileRegisterRows;
  constexpr std::int64_t rowBytes = kTileRegisterBytes, colBytes = 2 * kTileRegisterBytes;
  float *upperRight = c + half, *lower = c + half * kPairCols, *lowerRight = lower + half;
  if (mode == Tile::overwrite) {
    tileZero<0>();
    tileZero<1>();
    if constexpr (rowTiles == 2) {
      tileZero<2>();
      tileZero<3>();
    }
  } else {
    tileLoad<0>(c, colBytes);
    tileLoad<1>(upperRight, colBytes);
    if constexpr (rowTiles == 2) {
      tileLoad<2>(lower, colBytes);
      tileLoad<3>(lowerRight, colBytes);
    }
  }
  const std::int64_t blocks = steps / kPieceSteps;
  for (std::int64_t block = 0; block < blocks; ++block) {
    tileLoad<6>(b, colBytes);
    tileLoad<4>(a, rowBytes);
    tileMultiply<0, 4, 6>();
    tileLoad<7>(b + kPieceSteps, colBytes);
    tileMultiply<1, 4, 7>();
    if constexpr (rowTiles == 2) {
      tileLoad<5>(a + half * kPieceSteps, rowBytes);
      tileMultiply<2, 5, 6>();
      tileMultiply<3, 5, 7>();
    }
    beside(block, blocks);
    a += kPairRows * kPieceSteps;
    b += kPairCols * kPieceSteps;
  }
  tileStore<0>(c, colBytes);
  tileStore<1>(upperRight, colBytes);
  if constexpr (rowTiles == 2) {
    tileStore<2>(lower, colBytes);
    tileStore<3>(lowerRight, colBytes);
  }
}

/// C, of which `rows` are wanted; the rest may be anything.
template <class Beside>
DDSC_INLINE void multiplyPairTile(std::int64_t rows, std::int64_t steps, const bf16* a, const bf16* b,
                                  float* c, Tile mode, const Beside& beside) {
  if (rows <= kTileRegisterRows) {
    multiplyTiles<1>(steps, a, b, c, mode, beside);
  } else {
    multiplyTiles<2>(steps, a, b, c, mode, beside);
  }
}

#elif defined(__AVX512BF16__)

inline constexpr std::int64_t kPairRows = 14;
inline constexpr std::int64_t kPanelPieces = 1;
inline constexpr std::int64_t kPairRowSpace = kPieceRows;
inline constexpr std::int64_t kPairPieceRows = kPairRows;
inline constexpr std::int64_t kPairSteps = 2;

/// Nothing is held.
struct PairSession {
  DDSC_INLINE PairSession() {}
  DDSC_INLINE ~PairSession() {}
  PairSession(const PairSession&) = delete;
  PairSession& operator=(const PairSession&) = delete;
};

DDSC_INLINE void packRowPiece(const PairPiece& piece, std::int64_t steps, std::int64_t, bf16* out) {
  packPiece<PieceOrder::byPair>(piece, steps / 2, 2 * kPairRowSpace, out);
}

DDSC_INLINE void addPairRowSums(const bf16* panel, std::int64_t steps, float* sums) {
  F total = zero();
  for (std::int64_t step = 0; step < steps; step += 2)
    total = total + sumOfPairs(panel + step * kPairRowSpace);
  store(sums, load(sums, kPairRows) + total, kPairRows);
}

/// As for tiles; the multiplication keeps the vector units busy, so there is no time beside it: `beside` is
/// called once, first.
template <class Beside>
DDSC_INLINE void multiplyPairTile(std::int64_t, std::int64_t steps, const bf16* a, const bf16* b, float* c,
                                  Tile mode, const Beside& beside) {
  beside(0, 1);
  F left[kPairRows], right[kPairRows];
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < kPairRows; ++row) {
    left[row] = mode == Tile::add ? load(c + row * kPairCols) : zero();
    right[row] = mode == Tile::add ? load(c + row * kPairCols + kWidth) : zero();
  }
  for (std::int64_t step = 0; step < steps; step += 2) {
    const auto bLeft = (__m512bh)loadPairs(b).v, bRight = (__m512bh)loadPairs(b + 2 * kWidth).v;
#pragma GCC unroll 16
    for (std::int64_t row = 0; row < kPairRows; ++row) {
      std::int32_t pair;
      __builtin_memcpy(&pair, a + 2 * row, sizeof(pair));
      const auto value = (__m512bh)_mm512_set1_epi32(pair);
      left[row].v = _mm512_dpbf16_ps(left[row].v, value, bLeft);
      right[row].v = _mm512_dpbf16_ps(right[row].v, value, bRight);
    }
    a += 2 * kPairRowSpace;
    b += 2 * kPairCols;
  }
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < kPairRows; ++row) {
    store(c + row * kPairCols, left[row]);
    store(c + row * kPairCols + kWidth, right[row]);
  }
}

#endif

}  // namespace ddsc::cpu::DDSC_ISA
