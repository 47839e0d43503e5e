#pragma once
// Attention forward on units that multiply bf16 pairs (gemm_bf16_kernel.h). The scores are computed
// transposed, [keys, queries]: a query's softmax then runs down a column, a vector of queries at a time and
// without sums across lanes, and two neighbouring rows of exponentials, interleaved, are already the packed
// right operand of
//   outᵀ = vᵀ Pᵀ.
// What is multiplied is rounded to bf16 (rotated q and k, exponentials); sums, softmax and scale are float32.

#include "cpu/gemm/gemm_bf16_kernel.h"
#include "cpu/ops/attention.h"

#if defined(DDSC_PAIR_UNITS)

namespace ddsc::cpu::DDSC_ISA {

/// Keys of a block of scores: whole panels of the left operand, whole steps of a sum, and a block that stays
/// in the first-level cache.
inline constexpr std::int64_t kPairKeyBlock = 128 / kPairRows * kPairRows;
static_assert(kPairKeyBlock % kPairSteps == 0 && kPairKeyBlock % 2 == 0);

DDSC_INLINE constexpr std::int64_t paddedSteps(std::int64_t steps) { return roundUp(steps, kPairSteps); }

/// bf16 elements of `rows` packed as a left operand, of `cols` as a right one.
DDSC_INLINE constexpr std::int64_t leftElements(std::int64_t rows, std::int64_t steps) {
  return ceilDivide(rows, kPairRows) * kPairRowSpace * paddedSteps(steps);
}
DDSC_INLINE constexpr std::int64_t rightElements(std::int64_t cols, std::int64_t steps) {
  return ceilDivide(cols, kPairCols) * kPairCols * paddedSteps(steps);
}

/// Packs rows of `operand` as panels of kPairRows, each with all steps.
DDSC_INLINE void packLeft(const Operand& operand, std::int64_t rows, std::int64_t steps, bf16* out) {
  const std::int64_t padded = paddedSteps(steps);
  for (std::int64_t row = 0; row < rows; row += kPairPieceRows) {
    bf16* panel = out + row / kPairRows * kPairRowSpace * padded;
    const std::int64_t which = row % kPairRows / kPairPieceRows;
    for (std::int64_t step = 0; step < steps; step += kPieceSteps)
      packRowPiece(PairPiece(operand, row, rows - row, step, steps - step), least(kPieceSteps, padded - step),
                   which, panel + step * kPairRowSpace);
  }
}

/// Packs columns of a product as panels of kPairCols, each with all steps up to `padded`.
DDSC_INLINE void packRight(const Operand& operand, std::int64_t cols, std::int64_t steps, std::int64_t padded,
                           bf16* out) {
  for (std::int64_t col = 0; col < cols; col += kPairCols, out += kPairCols * padded) {
    for (std::int64_t step = 0; step < steps; step += kPieceSteps) {
      const std::int64_t pairs = least(kPieceSteps, padded - step) / 2;
      // A last half panel repeats its first half: the lanes reach results nobody stores, but are read.
      for (std::int64_t half = 0; half < kPairCols; half += kPieceRows) {
        const std::int64_t first = col + half < cols ? col + half : col;
        packPiece<PieceOrder::byPair>(PairPiece(operand, first, cols - first, step, steps - step), pairs,
                                      2 * kPairCols, out + step * kPairCols + 2 * half);
      }
    }
  }
}

/// Rotated rows of a head as an operand whose steps are the head's columns; `memory` holds them where they
/// change.
DDSC_INLINE Operand rotatedRows(const Head<const bf16>& head, const Rotation& rotation, std::int64_t first,
                                std::int64_t count, bf16* memory) {
  if (rotation.cosine == nullptr) return {head.row(first), head.stride, DType::bf16, true};
  readRotated(head, rotation, first, count, 1.0f, memory);
  return {memory, head.dim, DType::bf16, true};
}

/// The same elements with what was the sum's direction along the result.
DDSC_INLINE Operand transposed(Operand operand) {
  operand.stepsContiguous = !operand.stepsContiguous;
  return operand;
}

/// Two neighbouring steps of 16 columns, rounded: a vector of a packed right operand.
DDSC_INLINE F pairOf(I evenRounded, I oddRounded) {
  return fromBits(shiftRight<16>(evenRounded) | (oddRounded & setInt(0xFFFF0000u)));
}

/// columns [dim][kPairCols] -> rows [kPairCols][stride], stride a multiple of kWidth; reads whole vectors.
DDSC_INLINE void transposeColumns(const float* columns, std::int64_t dim, std::int64_t stride, float* rows) {
  F block[kWidth];
  for (std::int64_t first = 0; first < dim; first += kWidth) {
    for (std::int64_t col = 0; col < kPairCols; col += kWidth) {
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < kWidth; ++i) block[i] = load(columns + (first + i) * kPairCols + col);
      transpose(block);
#pragma GCC unroll 16
      for (std::int64_t i = 0; i < kWidth; ++i) store(rows + (col + i) * stride + first, block[i]);
    }
  }
}

/// Rows of [dim][kPairCols] sums that are written or read: whole panels, and whole vectors when transposed.
DDSC_INLINE constexpr std::int64_t sumRows(std::int64_t dim) {
  return roundUp(roundUp(dim, kPairRows), kWidth);
}

DDSC_INLINE void nothingBeside(std::int64_t, std::int64_t) {}

/// The forward pass of attention.cpp on this unit.
struct PairAttention {
  /// Panels of queries that share a pass over the keys.
  static constexpr std::int64_t kQueryPanels = 2;
  static constexpr std::int64_t kQueryBlock = kQueryPanels * kPairCols;

  /// Scratch of a task.
  struct Buffers {
    bf16* rotated;                     // [keys or a block of queries, headDim]
    bf16* keys;                        // left: rows are keys
    bf16* values;                      // left: rows are columns of the values, steps are keys
    bf16* queries;                     // right, of a block
    float* scores;                     // [query panel][kPairKeyBlock][kPairCols]
    bf16* exponentials;                // right, of each query panel: columns are queries, steps are keys
    float* sums;                       // [query panel][sumRows][kPairCols] of outᵀ
    float *maximum, *total, *rescale;  // [kQueryBlock] of scaled scores
    float* rows;                       // [kPairCols, headDim rounded up to vectors]

    DDSC_INLINE Buffers(Arena& arena, std::int64_t mostQueries, std::int64_t mostKeys, std::int64_t headDim) {
      rotated = arena.take<bf16>(most(mostKeys, least(mostQueries, kQueryBlock)) * headDim);
      keys = arena.take<bf16>(leftElements(mostKeys, headDim));
      values = arena.take<bf16>(leftElements(headDim, mostKeys));
      queries = arena.take<bf16>(rightElements(kQueryBlock, headDim));
      scores = arena.take(kQueryPanels * kPairKeyBlock * kPairCols);
      exponentials = arena.take<bf16>(kQueryPanels * rightElements(kPairCols, kPairKeyBlock));
      sums = arena.take(kQueryPanels * sumRows(headDim) * kPairCols);
      maximum = arena.take(kQueryBlock);
      total = arena.take(kQueryBlock);
      rescale = arena.take(kQueryBlock);
      rows = arena.take(kPairCols * roundUp(headDim, kWidth));
    }
  };

  /// Scores of a panel of queries become exponentials of their distance from the maximum so far, packed;
  /// their sum joins the rescaled total. True where a maximum rose, so that sums so far shrink.
  DDSC_INLINE static bool exponentiate(const Buffers& buffers, std::int64_t panel, std::int64_t keys,
                                       float scale) {
    const float* scores = buffers.scores + panel * kPairKeyBlock * kPairCols;
    bf16* out = buffers.exponentials + panel * rightElements(kPairCols, kPairKeyBlock);
    const std::int64_t pairs = keys / 2, vectors = paddedSteps(keys) / 2;
    bool rose = false;
    for (std::int64_t col = 0; col < kPairCols; col += kWidth) {
      const std::int64_t query = panel * kPairCols + col;
      F even = load(scores + col), odd = even;
      for (std::int64_t key = 0; key + 1 < keys; key += 2) {
        even = max(even, load(scores + key * kPairCols + col));
        odd = max(odd, load(scores + (key + 1) * kPairCols + col));
      }
      if (keys % 2 != 0) even = max(even, load(scores + (keys - 1) * kPairCols + col));
      const F before = load(buffers.maximum + query);
      const F now = max(before, set1(scale) * max(even, odd));
      const F rescale = exp2(before - now);
      store(buffers.maximum + query, now);
      store(buffers.rescale + query, rescale);
      rose = rose || any(before < now);

      const F factor = set1(scale), down = zero() - now;
      F evenTotal = zero(), oddTotal = zero();
      for (std::int64_t pair = 0; pair < pairs; ++pair) {
        const float* from = scores + 2 * pair * kPairCols + col;
        const F a = exp2(fma(factor, load(from), down)), b = exp2(fma(factor, load(from + kPairCols), down));
        evenTotal = evenTotal + a;
        oddTotal = oddTotal + b;
        storePairs(out + 2 * (pair * kPairCols + col), pairOf(roundedToBf16(a), roundedToBf16(b)));
      }
      for (std::int64_t pair = pairs; pair < vectors; ++pair) {
        F a = zero();
        if (2 * pair < keys) a = exp2(fma(factor, load(scores + 2 * pair * kPairCols + col), down));
        evenTotal = evenTotal + a;
        storePairs(out + 2 * (pair * kPairCols + col), pairOf(roundedToBf16(a), setInt(0)));
      }
      const F total = load(buffers.total + query);
      store(buffers.total + query, fma(total, rescale, evenTotal + oddTotal));
    }
    return rose;
  }

  /// Columns of a panel's sums times their factors.
  DDSC_INLINE static void shrink(const float* factors, std::int64_t rows, float* sums) {
    const F left = load(factors), right = load(factors + kWidth);
    for (std::int64_t row = 0; row < rows; ++row, sums += kPairCols) {
      store(sums, left * load(sums));
      store(sums + kWidth, right * load(sums + kWidth));
    }
  }

  /// The queries of one block against all keys of the cell; leaves unnormalised sums, maxima and totals.
  DDSC_INLINE static void attend(const Buffers& buffers, std::int64_t panels, std::int64_t keys,
                                 std::int64_t headDim, float scale) {
    const std::int64_t dimSteps = paddedSteps(headDim), keySteps = paddedSteps(keys);
    for (std::int64_t query = 0; query < panels * kPairCols; query += kWidth) {
      store(buffers.maximum + query, set1(-__builtin_inff()));
      store(buffers.total + query, zero());
    }
    for (std::int64_t firstKey = 0; firstKey < keys; firstKey += kPairKeyBlock) {
      const std::int64_t blockKeys = least(kPairKeyBlock, keys - firstKey);
      for (std::int64_t key = 0; key < blockKeys; key += kPairRows)
        for (std::int64_t panel = 0; panel < panels; ++panel)
          multiplyPairTile(blockKeys - key, dimSteps,
                           buffers.keys + (firstKey + key) / kPairRows * kPairRowSpace * dimSteps,
                           buffers.queries + panel * kPairCols * dimSteps,
                           buffers.scores + (panel * kPairKeyBlock + key) * kPairCols, Tile::overwrite,
                           nothingBeside);
      for (std::int64_t panel = 0; panel < panels; ++panel) {
        float* sums = buffers.sums + panel * sumRows(headDim) * kPairCols;
        const bool rose = exponentiate(buffers, panel, blockKeys, scale);
        if (rose && firstKey > 0) shrink(buffers.rescale + panel * kPairCols, headDim, sums);
        for (std::int64_t row = 0; row < headDim; row += kPairRows)
          multiplyPairTile(
              headDim - row, paddedSteps(blockKeys),
              buffers.values + row / kPairRows * kPairRowSpace * keySteps + firstKey * kPairRowSpace,
              buffers.exponentials + panel * rightElements(kPairCols, kPairKeyBlock), sums + row * kPairCols,
              firstKey == 0 ? Tile::overwrite : Tile::add, nothingBeside);
      }
    }
  }

  /// Writes a panel's normalised rows and their log-sum-exp.
  DDSC_INLINE static void finish(const AttentionTask<bf16>& task, const Buffers& buffers, std::int64_t panel,
                                 std::int64_t firstQuery, std::int64_t queries) {
    const std::int64_t headDim = task.query.dim, stride = roundUp(headDim, kWidth);
    float *total = buffers.total + panel * kPairCols, *maximum = buffers.maximum + panel * kPairCols;
    for (std::int64_t query = 0; query < kPairCols; query += kWidth) {
      const F sum = load(total + query);
      store(maximum + query, fma(load(maximum + query), set1(kLn2), log(sum)));
      store(total + query, set1(1.0f) / sum);
    }
    transposeColumns(buffers.sums + panel * sumRows(headDim) * kPairCols, headDim, stride, buffers.rows);
    for (std::int64_t query = 0; query < queries; ++query) {
      const F inverse = set1(total[query]);
      bf16* to = task.out.row(firstQuery + query);
      const float* from = buffers.rows + query * stride;
      eachColumnVector(headDim, [&](std::int64_t col, std::int64_t lanes) __attribute__((always_inline)) {
        store(to + col, inverse * load(from + col), lanes);
      });
      task.logSumExp[(firstQuery + query) * task.logSumExpStride] = maximum[query];
    }
  }

  static void attendHead(const AttentionTask<bf16>& task, const Buffers& buffers) {
    const PairSession session;
    const std::int64_t headDim = task.query.dim, keys = task.keys, dimSteps = paddedSteps(headDim);
    packLeft(rotatedRows(task.key, task.keyRotation, 0, keys, buffers.rotated), keys, headDim, buffers.keys);
    packLeft({task.value.data, task.value.stride, DType::bf16, false}, headDim, keys, buffers.values);
    const float scale = kLog2E / __builtin_sqrtf(static_cast<float>(headDim));
    for (std::int64_t first = task.firstQuery; first < task.endQuery; first += kQueryBlock) {
      const std::int64_t queries = least(kQueryBlock, task.endQuery - first);
      const std::int64_t panels = ceilDivide(queries, kPairCols);
      packRight(rotatedRows(task.query, task.queryRotation, first, queries, buffers.rotated), queries,
                headDim, dimSteps, buffers.queries);
      attend(buffers, panels, keys, headDim, scale);
      for (std::int64_t panel = 0; panel < panels; ++panel)
        finish(task, buffers, panel, first + panel * kPairCols,
               least(kPairCols, queries - panel * kPairCols));
    }
  }
};

}  // namespace ddsc::cpu::DDSC_ISA

#endif
