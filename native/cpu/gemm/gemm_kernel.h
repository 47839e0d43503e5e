#pragma once
// The micro-kernel every matrix product of this backend ends in: C[kTileRows, kTileCols] (+)= A B with C held
// in registers while the sum runs. A is read one element at a time (a broadcast), at strides fixed when
// compiled, so that a plain row-major or transposed buffer serves without packing; B is a packed panel,
// kTileCols values a step. A tile type with its own packing (bf16 matrix units) fits beside it: gemm.h needs
// no more than these names.

#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

// As many accumulators as leave registers for two vectors of B and one of A.
#if defined(__AVX512F__)
inline constexpr std::int64_t kTileRows = 14;
#elif defined(__AVX2__)
inline constexpr std::int64_t kTileRows = 6;
#elif defined(DDSC_NEON)
inline constexpr std::int64_t kTileRows = 12;
#else
inline constexpr std::int64_t kTileRows = 4;
#endif
inline constexpr std::int64_t kTileCols = 2 * kWidth;
inline constexpr std::int64_t kTileSize = kTileRows * kTileCols;

enum class Tile { overwrite, add };

// Rows whose element of A every multiply-add reads from memory itself: more loads for fewer instructions.
// With the core's other hyper-thread busy it is the instructions that bind (78% of the peak without, 91%
// with).
#if defined(__AVX512F__)
inline constexpr std::int64_t kRowsFromMemory = 8;
#else
inline constexpr std::int64_t kRowsFromMemory = 0;
#endif

/// One step of the sum.
template <std::int64_t aRow>
DDSC_INLINE void multiplyStep(const float* a, const float* b, F (&left)[kTileRows], F (&right)[kTileRows]) {
  const F bLeft = load(b), bRight = load(b + kWidth);
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < kTileRows; ++row) {
    if (row < kRowsFromMemory) {
      left[row] = fmaOf(a + row * aRow, bLeft, left[row]);
      right[row] = fmaOf(a + row * aRow, bRight, right[row]);
    } else {
      const F value = set1(a[row * aRow]);
      left[row] = fma(value, bLeft, left[row]);
      right[row] = fma(value, bRight, right[row]);
    }
  }
}

/// c[row * cRow + col] (+)= sum over step < steps of a[row * aRow + step * aStep] * b[step * kTileCols +
/// col], steps ascending from zero; `add` adds the finished sum.
template <std::int64_t aRow, std::int64_t aStep, std::int64_t cRow>
DDSC_INLINE void multiplyTile(std::int64_t steps, const float* a, const float* b, float* c, Tile tile) {
  F left[kTileRows], right[kTileRows];
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < kTileRows; ++row) left[row] = right[row] = zero();
  std::int64_t step = 0;
  for (; step + 4 <= steps; step += 4, a += 4 * aStep, b += 4 * kTileCols) {
#pragma GCC unroll 4
    for (std::int64_t ahead = 0; ahead < 4; ++ahead) {
      multiplyStep<aRow>(a + ahead * aStep, b + ahead * kTileCols, left, right);
      // Mixed by the compiler, four steps want more registers than AVX2 has.
      asm volatile("" ::: "memory");
    }
  }
#pragma GCC unroll 1
  for (; step < steps; ++step, a += aStep, b += kTileCols) multiplyStep<aRow>(a, b, left, right);
  if (tile == Tile::add) {
#pragma GCC unroll 16
    for (std::int64_t row = 0; row < kTileRows; ++row) {
      left[row] = load(c + row * cRow) + left[row];
      right[row] = load(c + row * cRow + kWidth) + right[row];
    }
  }
#pragma GCC unroll 16
  for (std::int64_t row = 0; row < kTileRows; ++row) {
    store(c + row * cRow, left[row]);
    store(c + row * cRow + kWidth, right[row]);
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
