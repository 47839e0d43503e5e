#pragma once
// How a GPU's kernels divide their work where that decides how much scratch memory they take: for the kernels
// themselves, and for who counts that memory beforehand.

#include <cstdint>

#include "core/views.h"

namespace ddsc::gpu {

/// Rows and columns of the tile that a block makes of a product.
constexpr std::int64_t productTile(DType type) { return type == DType::f32 ? 64 : 128; }

/// Parts of a sum are whole numbers of the steps that a block takes at a time, of either type.
inline constexpr std::int64_t kWholeSteps = 32;

/// The steps of a weight gradient in parts, whose sums lie in scratch memory until they are added.
struct Splits {
  std::int64_t count;          // 1: no scratch memory
  std::int64_t stepsOfEach;    // the last may have fewer
  std::int64_t scratchFloats;  // of the weight's sums, then of the bias'
};

/// Splits for a gradient [rows, cols] of operands of this type, none of them empty: enough blocks for a large
/// GPU, each with work for a while. From the shapes alone, so that every GPU gives the same bits.
constexpr Splits weightGradientSplits(DType type, std::int64_t rows, std::int64_t cols, std::int64_t steps) {
  constexpr std::int64_t kBlocks = 264, kLeastSteps = 1024, kMost = 16;
  const auto ceilDivide = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  const std::int64_t tile = productTile(type);
  std::int64_t count = ceilDivide(kBlocks, ceilDivide(rows, tile) * ceilDivide(cols, tile));
  for (const std::int64_t most : {steps / kLeastSteps, kMost}) count = count < most ? count : most;
  if (count < 1) count = 1;
  const std::int64_t each = ceilDivide(ceilDivide(steps, count), kWholeSteps) * kWholeSteps;
  count = ceilDivide(steps, each);
  return {count, each, count > 1 ? count * rows * (cols + 1) : 0};
}

/// The width to which heads are packed for the matrix units; 0: they are read where they are, by kernels on
/// the plain ones.
constexpr int packedHeadDim(DType type, std::int64_t headDim) {
  if (type == DType::f32 || headDim > 128) return 0;
  return headDim <= 32 ? 32 : headDim <= 64 ? 64 : 128;
}

/// bf16 elements of q, k and v packed for the matrix units: queries [rows, heads, packed], then keys and
/// values [key rows, 2, heads, packed].
constexpr std::int64_t packedHeadElements(DType type, std::int64_t headDim, std::int64_t heads,
                                          std::int64_t rows, std::int64_t keyRows) {
  return (rows + 2 * keyRows) * heads * packedHeadDim(type, headDim);
}

/// Floats that attention takes, forward: packed heads, two elements to a float.
constexpr std::int64_t attentionScratchFloats(const ConstMatrix& out, std::int64_t keyRows,
                                              std::int64_t heads) {
  return packedHeadElements(out.type, out.cols / heads, heads, out.rows, keyRows) / 2;
}

/// And backward: the packed heads, the output's gradient packed, and a float for each row and head.
constexpr std::int64_t attentionGradientScratchFloats(const ConstMatrix& out, std::int64_t keyRows,
                                                      std::int64_t heads) {
  return packedHeadElements(out.type, out.cols / heads, heads, 2 * out.rows, keyRows) / 2 + out.rows * heads;
}

/// Rows of a cell that a block sums up.
inline constexpr int kCellRowsPerBlock = 128;

/// Blocks for the longest cell, and for each of the others.
inline std::int64_t cellSumBlocks(const Ragged& cells) {
  return (cells.longest + kCellRowsPerBlock - 1) / kCellRowsPerBlock;
}

/// Floats of the blocks' sums of `kinds` values a column.
inline std::int64_t cellSumFloats(const Ragged& cells, std::int64_t kinds, std::int64_t cols) {
  return cells.cells() * cellSumBlocks(cells) * kinds * cols;
}

}  // namespace ddsc::gpu
