#pragma once
// Attention backward on units that multiply bf16 pairs. As in attention_pairs.h the scores are [keys,
// queries]: a row of probabilities then belongs to one key, which is how
//   dv = Pᵀ dout  and  dk = dSᵀ q
// take it as their left operand, and two rows interleaved are the right operand of
//   dqᵀ = kᵀ dSᵀ.
// What is multiplied is rounded to bf16 (rotated q and k, P, dS); sums, softmax and scale are float32.

#include "cpu/ops/attention_pairs.h"

#if defined(DDSC_PAIR_UNITS)

namespace ddsc::cpu::DDSC_ISA {

/// The backward pass of attention_gradient.cpp on this unit.
struct PairAttentionGradient {
  static constexpr std::int64_t kQueryPanels = 4;
  static constexpr std::int64_t kQueryBlock = kQueryPanels * kPairCols;
  static constexpr std::int64_t kPartKeys = 4 * kPairKeyBlock;

  DDSC_INLINE static std::int64_t partsOf(std::int64_t keys) { return ceilDivide(keys, kPartKeys); }

  /// Floats of the gradient of one head's queries: [query panel][sumRows][kPairCols].
  DDSC_INLINE static std::int64_t queryGradientFloats(std::int64_t queries, std::int64_t headDim) {
    return ceilDivide(queries, kPairCols) * sumRows(headDim) * kPairCols;
  }

  /// Scratch of a task. Left and right say which operand of a product something is packed as; `Steps`, that
  /// its tokens are the steps of the sum.
  struct Buffers {
    bf16* rotated;                          // [queries or a block of keys, headDim]
    bf16 *queryRight, *doutRight;           // columns are queries
    bf16 *querySteps, *doutSteps;           // right: columns are the head's
    bf16 *keyLeft, *valueLeft;              // of a block of keys: rows are keys
    bf16* keySteps;                         // left: rows are the head's columns
    float *scores, *scoreGradient;          // a tile
    bf16 *roundedScores, *roundedGradient;  // [kPairRows, kPairCols]: P and dS of a tile
    bf16 *probabilityLeft, *gradientLeft;   // rows are keys of a block, steps its queries
    bf16* gradientRight;                    // columns are queries of a block, steps its keys
    float *queryGradient, *partGradient;    // of all parts, of one
    float *keyGradient, *valueGradient;     // tiles [key panel][column panel], of a block of keys
    float *delta, *logSumExp;  // [queries, whole panels]: rowsum(dout * out); negative, in base 2
    float* row;                // [kPairCols, headDim rounded up]

    DDSC_INLINE Buffers(Arena& arena, std::int64_t mostQueries, std::int64_t mostKeys, std::int64_t headDim) {
      const std::int64_t paddedRows = roundUp(mostQueries, kPairCols),
                         paddedDim = roundUp(headDim, kPairCols);
      rotated = arena.take<bf16>(most(mostQueries, least(mostKeys, kPairKeyBlock)) * headDim);
      queryRight = arena.take<bf16>(rightElements(mostQueries, headDim));
      doutRight = arena.take<bf16>(rightElements(mostQueries, headDim));
      querySteps = arena.take<bf16>(paddedDim * paddedRows);
      doutSteps = arena.take<bf16>(paddedDim * paddedRows);
      keyLeft = arena.take<bf16>(leftElements(kPairKeyBlock, headDim));
      valueLeft = arena.take<bf16>(leftElements(kPairKeyBlock, headDim));
      keySteps = arena.take<bf16>(leftElements(headDim, kPairKeyBlock));
      scores = arena.take(kPairRows * kPairCols);
      scoreGradient = arena.take(kPairRows * kPairCols);
      roundedScores = arena.take<bf16>(kPairRows * kPairCols);
      roundedGradient = arena.take<bf16>(kPairRows * kPairCols);
      probabilityLeft = arena.take<bf16>(leftElements(kPairKeyBlock, kQueryBlock));
      gradientLeft = arena.take<bf16>(leftElements(kPairKeyBlock, kQueryBlock));
      gradientRight = arena.take<bf16>(rightElements(kQueryBlock, kPairKeyBlock));
      queryGradient = arena.take(queryGradientFloats(mostQueries, headDim));
      partGradient = arena.take(partsOf(mostKeys) > 1 ? queryGradientFloats(mostQueries, headDim) : 0);
      keyGradient = arena.take(kPairKeyBlock * paddedDim);
      valueGradient = arena.take(kPairKeyBlock * paddedDim);
      delta = arena.take(paddedRows);
      logSumExp = arena.take(paddedRows);
      row = arena.take(kPairCols * paddedDim);
    }
  };

  /// Everything of the queries that every part needs. Queries past the last, up to a whole panel, have
  /// probability zero.
  static void packQueries(const AttentionGradientTask<bf16>& task, const Buffers& buffers) {
    const std::int64_t headDim = task.query.dim, queries = task.queries;
    const std::int64_t padded = roundUp(queries, kPairCols), dimSteps = paddedSteps(headDim);
    rowProducts(task, buffers.delta);
    for (std::int64_t i = 0; i < queries; ++i)
      buffers.logSumExp[i] = -kLog2E * task.logSumExp[i * task.logSumExpStride];
    for (std::int64_t i = queries; i < padded; ++i) {
      buffers.delta[i] = 0;
      buffers.logSumExp[i] = -__builtin_inff();
    }
    const Operand query = rotatedRows(task.query, task.queryRotation, 0, queries, buffers.rotated);
    const Operand dout{task.dout.data, task.dout.stride, DType::bf16, true};
    packRight(query, queries, headDim, dimSteps, buffers.queryRight);
    packRight(dout, queries, headDim, dimSteps, buffers.doutRight);
    packRight(transposed(query), headDim, queries, padded, buffers.querySteps);
    packRight(transposed(dout), headDim, queries, padded, buffers.doutSteps);
  }

  /// The tile of scores and of dout vᵀ becomes P and dS, rounded: as rows, and dS in pairs of rows.
  DDSC_INLINE static void differentiateSoftmax(const Buffers& buffers, float scale, std::int64_t firstQuery,
                                               std::int64_t keys, bf16* pairs) {
    const F factor = set1(kLog2E * scale);
    for (std::int64_t col = 0; col < kPairCols; col += kWidth) {
      const F logSumExp = load(buffers.logSumExp + firstQuery + col);
      const F delta = load(buffers.delta + firstQuery + col);
      const auto differentiate = [&](std::int64_t key) __attribute__((always_inline)) {
        const std::int64_t at = key * kPairCols + col;
        const F probability = exp2(fma(factor, load(buffers.scores + at), logSumExp));
        const I rounded = roundedToBf16(probability * (load(buffers.scoreGradient + at) - delta));
        store(buffers.roundedScores + at, probability);
        storeUpper(buffers.roundedGradient + at, rounded);
        return rounded;
      };
      for (std::int64_t pair = 0; pair < keys / 2; ++pair) {
        const I even = differentiate(2 * pair), odd = differentiate(2 * pair + 1);
        storePairs(pairs + 2 * (pair * kPairCols + col), pairOf(even, odd));
      }
      if (keys % 2 != 0)
        storePairs(pairs + 2 * (keys / 2 * kPairCols + col), pairOf(differentiate(keys - 1), setInt(0)));
    }
  }

  /// P and dS of a block, packed for the three gradients.
  DDSC_INLINE static void differentiateScores(const AttentionGradientTask<bf16>& task, const Buffers& buffers,
                                              std::int64_t firstQuery, std::int64_t queries,
                                              std::int64_t keys) {
    const std::int64_t dimSteps = paddedSteps(task.query.dim);
    constexpr std::int64_t panelStride = kPairRowSpace * kQueryBlock;
    for (std::int64_t query = 0; query < queries; query += kPairCols) {
      bf16* pairs = buffers.gradientRight + query * kPairKeyBlock;
      for (std::int64_t key = 0; key < keys; key += kPairRows) {
        const std::int64_t rows = least(kPairRows, keys - key),
                           left = key / kPairRows * kPairRowSpace * dimSteps;
        const std::int64_t right = (firstQuery + query) * dimSteps;
        multiplyPairTile(rows, dimSteps, buffers.keyLeft + left, buffers.queryRight + right, buffers.scores,
                         Tile::overwrite, nothingBeside);
        multiplyPairTile(rows, dimSteps, buffers.valueLeft + left, buffers.doutRight + right,
                         buffers.scoreGradient, Tile::overwrite, nothingBeside);
        differentiateSoftmax(buffers, task.scale, firstQuery + query, rows, pairs + key * kPairCols);
        const std::int64_t place = key / kPairRows * panelStride + query * kPairRowSpace;
        packLeft({buffers.roundedScores, kPairCols, DType::bf16, true}, rows, kPairCols,
                 buffers.probabilityLeft + place);
        packLeft({buffers.roundedGradient, kPairCols, DType::bf16, true}, rows, kPairCols,
                 buffers.gradientLeft + place);
      }
      for (std::int64_t key = roundUp(keys, 2); key < paddedSteps(keys); key += 2)
        for (std::int64_t col = 0; col < kPairCols; col += kWidth)
          storePairs(pairs + key * kPairCols + 2 * col, zero());
    }
  }

  /// One block of queries against one block of keys: adds to all three gradients, which the first block of
  /// queries or of a part's keys begins.
  DDSC_INLINE static void differentiateBlock(const AttentionGradientTask<bf16>& task, const Buffers& buffers,
                                             std::int64_t firstQuery, std::int64_t keys, bool firstKeys,
                                             float* queryGradient) {
    const std::int64_t headDim = task.query.dim, columnPanels = ceilDivide(headDim, kPairCols);
    const std::int64_t tokenSteps = roundUp(task.queries, kPairCols), keySteps = paddedSteps(keys);
    const std::int64_t queries = least(kQueryBlock, tokenSteps - firstQuery);
    differentiateScores(task, buffers, firstQuery, queries, keys);
    const Tile ofQueries = firstKeys ? Tile::overwrite : Tile::add;
    const Tile ofKeys = firstQuery == 0 ? Tile::overwrite : Tile::add;
    for (std::int64_t key = 0; key < keys; key += kPairRows) {
      const std::int64_t left = key / kPairRows * kPairRowSpace * kQueryBlock;
      for (std::int64_t panel = 0; panel < columnPanels; ++panel) {
        const std::int64_t tile = (key / kPairRows * columnPanels + panel) * kPairRows * kPairCols;
        const std::int64_t right = (panel * tokenSteps + firstQuery) * kPairCols;
        multiplyPairTile(keys - key, queries, buffers.probabilityLeft + left, buffers.doutSteps + right,
                         buffers.valueGradient + tile, ofKeys, nothingBeside);
        multiplyPairTile(keys - key, queries, buffers.gradientLeft + left, buffers.querySteps + right,
                         buffers.keyGradient + tile, ofKeys, nothingBeside);
      }
    }
    for (std::int64_t query = 0; query < queries; query += kPairCols)
      for (std::int64_t row = 0; row < headDim; row += kPairRows)
        multiplyPairTile(
            headDim - row, keySteps, buffers.keySteps + row / kPairRows * kPairRowSpace * keySteps,
            buffers.gradientRight + query * kPairKeyBlock,
            queryGradient + ((firstQuery + query) / kPairCols * sumRows(headDim) + row) * kPairCols,
            ofQueries, nothingBeside);
  }

  /// One part of the keys against all queries: writes the part's keys' and values' gradients and what it adds
  /// to the queries'.
  static void differentiatePart(const AttentionGradientTask<bf16>& task, const Buffers& buffers,
                                std::int64_t part, float* queryGradient) {
    const PairSession session;
    const std::int64_t headDim = task.query.dim;
    const std::int64_t begin = part * kPartKeys, end = least(begin + kPartKeys, task.keys);
    for (std::int64_t firstKey = begin; firstKey < end; firstKey += kPairKeyBlock) {
      const std::int64_t keys = least(kPairKeyBlock, end - firstKey);
      const Operand key = rotatedRows(task.key, task.keyRotation, firstKey, keys, buffers.rotated);
      packLeft(key, keys, headDim, buffers.keyLeft);
      packLeft(transposed(key), headDim, keys, buffers.keySteps);
      packLeft({task.value.row(firstKey), task.value.stride, DType::bf16, true}, keys, headDim,
               buffers.valueLeft);
      for (std::int64_t firstQuery = 0; firstQuery < task.queries; firstQuery += kQueryBlock)
        differentiateBlock(task, buffers, firstQuery, keys, firstKey == begin, queryGradient);
      writeKeyGradients<kPairRows>(task, buffers.keyGradient, buffers.valueGradient, firstKey, keys,
                                   task.scale, buffers.row);
    }
  }

  static void writeQueryGradient(const AttentionGradientTask<bf16>& task, const float* sums, float* rows) {
    const std::int64_t headDim = task.query.dim, stride = roundUp(headDim, kWidth);
    for (std::int64_t first = 0; first < task.queries;
         first += kPairCols, sums += sumRows(headDim) * kPairCols) {
      transposeColumns(sums, headDim, stride, rows);
      for (std::int64_t i = 0; i < least(kPairCols, task.queries - first); ++i)
        writeUnrotated(task.queryGradient, task.queryRotation, first + i, task.scale, rows + i * stride);
    }
  }
};

}  // namespace ddsc::cpu::DDSC_ISA

#endif
