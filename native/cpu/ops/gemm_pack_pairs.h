#pragma once
// Packing of bf16 operands for units that multiply pairs: two neighbouring steps of the sum stand side by
// side as one 32-bit element, the even step in its lower half. A block of an operand becomes
//   panels  [step / 2][space][2]          `width` rows of the operand a panel, `space` >= width apart;
//   tiles   [step / 32][32 rows][32]      32 rows of the operand a panel, two tiles of 16 rows and 16 pairs,
// read front to back by the micro-kernels (gemm_bf16_kernel.h). Steps past the end of the sum are zero in
// both operands; rows past the edge hold repeated rows or zeros that only reach results nobody stores.

#include "cpu/ops/gemm_pack.h"
#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kTileSteps = 32;
inline constexpr std::int64_t kTilePanelRows = 32;

/// A block of a bf16 operand: rows first .. first + count - 1, steps firstStep .. firstStep + steps - 1, to
/// be written as `paddedSteps` steps (even, >= steps).
struct PairBlock {
  const bf16* data;  // of its first row and step
  std::int64_t stride;
  bool stepsContiguous;
  std::int64_t count, steps, paddedSteps;

  DDSC_INLINE PairBlock(const Operand& operand, std::int64_t first, std::int64_t rows, std::int64_t firstStep,
                        std::int64_t stepCount, std::int64_t padded)
      : data(static_cast<const bf16*>(operand.data) + (operand.stepsContiguous
                                                           ? first * operand.stride + firstStep
                                                           : firstStep * operand.stride + first)),
        stride(operand.stride),
        stepsContiguous(operand.stepsContiguous),
        count(rows),
        steps(stepCount),
        paddedSteps(padded) {}
};

/// 32 neighbouring elements of a row as 16 pairs; those from `count` on are zero.
DDSC_INLINE F loadPairs(const bf16* p) { return {_mm512_loadu_ps(p)}; }
DDSC_INLINE F loadPairs(const bf16* p, std::int64_t count) {
  const std::int64_t present = most(0, least(count, kTileSteps));
  const auto mask = static_cast<__mmask32>((std::uint64_t{1} << present) - 1);
  return {_mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, p))};
}

/// 16 neighbouring elements of two rows, interleaved; lanes from `count` on are zero, the whole second row
/// where `odd` is null.
DDSC_INLINE F interleave(const bf16* even, const bf16* odd, std::int64_t count) {
  const auto widened = [count](const bf16* p) __attribute__((always_inline)) {
    if (count >= kWidth)
      return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(maskOfFirst(most(0, count)), p));
  };
  const __m512i low = widened(even);
  if (odd == nullptr) return {_mm512_castsi512_ps(low)};
  return {_mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(widened(odd), 16)))};
}

DDSC_INLINE void storePairs(bf16* p, F pairs) { _mm512_storeu_ps(p, pairs.v); }

/// Panels of an operand whose steps are contiguous: 16 rows by 16 pairs at a time, transposed in registers.
template <std::int64_t width, std::int64_t space>
void packPanelsTransposed(const PairBlock& block, std::int64_t panelStride, bf16* out) {
  for (std::int64_t first = 0; first < block.count; first += width, out += panelStride) {
    for (std::int64_t lane = 0; lane < width; lane += kWidth) {
      const bf16* rows[kWidth];
      for (std::int64_t r = 0; r < kWidth; ++r)
        rows[r] = block.data + least(first + lane + r, block.count - 1) * block.stride;
      bf16* to = out + 2 * lane;
      F pairs[kWidth];
      std::int64_t step = 0;
      for (; step + kTileSteps <= block.steps; step += kTileSteps) {
#pragma GCC unroll 16
        for (std::int64_t r = 0; r < kWidth; ++r) pairs[r] = loadPairs(rows[r] + step);
        transpose(pairs);
#pragma GCC unroll 16
        for (std::int64_t p = 0; p < kWidth; ++p) storePairs(to + (step + 2 * p) * space, pairs[p]);
      }
      if (step < block.paddedSteps) {
        for (std::int64_t r = 0; r < kWidth; ++r) pairs[r] = loadPairs(rows[r] + step, block.steps - step);
        transpose(pairs);
        for (std::int64_t p = 0; step + 2 * p < block.paddedSteps; ++p)
          storePairs(to + (step + 2 * p) * space, pairs[p]);
      }
    }
  }
}

/// Panels of an operand whose rows are contiguous: two steps interleaved, several panels a sweep so that
/// whole cache lines of the source are used.
template <std::int64_t width, std::int64_t space>
void packPanelsInterleaved(const PairBlock& block, std::int64_t panelStride, bf16* out) {
  constexpr std::int64_t sweep = 8 * width;
  for (std::int64_t first = 0; first < block.count; first += sweep) {
    const std::int64_t end = least(first + sweep, block.count);
    for (std::int64_t step = 0; step < block.paddedSteps; step += 2) {
      const bf16* even = block.data + step * block.stride;
      const bf16* odd = step + 1 < block.steps ? even + block.stride : nullptr;
      for (std::int64_t panel = first; panel < end; panel += width) {
        bf16* to = out + panel / width * panelStride + step * space;
#pragma GCC unroll 2
        for (std::int64_t lane = 0; lane < width; lane += kWidth) {
          const std::int64_t at = panel + lane;
          const bf16* oddAt = odd == nullptr ? nullptr : odd + at;
          storePairs(to + 2 * lane,
                     step < block.steps ? interleave(even + at, oddAt, block.count - at) : zero());
        }
      }
    }
  }
}

template <std::int64_t width, std::int64_t space>
DDSC_INLINE void packPanels(const PairBlock& block, std::int64_t panelStride, bf16* out) {
  if (block.stepsContiguous) {
    packPanelsTransposed<width, space>(block, panelStride, out);
  } else {
    packPanelsInterleaved<width, space>(block, panelStride, out);
  }
}

/// Tiles of an operand whose steps are contiguous: its rows, 32 steps a piece.
inline void packTilesCopied(const PairBlock& block, bf16* out) {
  for (std::int64_t first = 0; first < block.count; first += kTilePanelRows) {
    for (std::int64_t r = 0; r < kTilePanelRows; ++r) {
      const bf16* from = block.data + least(first + r, block.count - 1) * block.stride;
      bf16* to = out + first * block.paddedSteps + r * kTileSteps;
      std::int64_t step = 0;
      for (; step + kTileSteps <= block.steps; step += kTileSteps, to += kTilePanelRows * kTileSteps)
        storePairs(to, loadPairs(from + step));
      if (step < block.paddedSteps) storePairs(to, loadPairs(from + step, block.steps - step));
    }
  }
}

/// Tiles of an operand whose rows are contiguous: 16 rows by 32 steps at a time, interleaved and transposed.
inline void packTilesTransposed(const PairBlock& block, bf16* out) {
  for (std::int64_t step = 0; step < block.paddedSteps; step += kTileSteps) {
    for (std::int64_t first = 0; first < block.count; first += kWidth) {
      const bf16* from = block.data + step * block.stride + first;
      const std::int64_t present = block.count - first;
      F pairs[kWidth];
      if (step + kTileSteps <= block.steps && present >= kWidth) {
#pragma GCC unroll 16
        for (std::int64_t p = 0; p < kWidth; ++p)
          pairs[p] = interleave(from + 2 * p * block.stride, from + (2 * p + 1) * block.stride, kWidth);
      } else {
        for (std::int64_t p = 0; p < kWidth; ++p) {
          const std::int64_t left = block.steps - step - 2 * p;
          const bf16* even = from + 2 * p * block.stride;
          pairs[p] = left > 0 ? interleave(even, left > 1 ? even + block.stride : nullptr, present) : zero();
        }
      }
      transpose(pairs);
      bf16* to = out + first / kTilePanelRows * kTilePanelRows * block.paddedSteps + step * kTilePanelRows +
                 first % kTilePanelRows * kTileSteps;
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kWidth; ++r) storePairs(to + r * kTileSteps, pairs[r]);
    }
  }
}

/// Panels of 32 rows follow one another, paddedSteps (a multiple of 32) steps each.
DDSC_INLINE void packTiles(const PairBlock& block, bf16* out) {
  if (block.stepsContiguous) {
    packTilesCopied(block, out);
  } else {
    packTilesTransposed(block, out);
  }
}

/// The sum of each pair, in float32.
DDSC_INLINE F sumOfPairs(const bf16* pairs) {
  const I bits = bitsOf(loadPairs(pairs));
  return fromBits(shiftLeft<16>(bits)) + fromBits(bits & setInt(0xFFFF0000u));
}

}  // namespace ddsc::cpu::DDSC_ISA
