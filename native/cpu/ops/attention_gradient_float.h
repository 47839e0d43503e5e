#pragma once
// Attention backward on float32 multiply-adds, for either type of storage: bf16 is widened while it is
// packed. Scores are [queries, keys].

#include "cpu/ops/attention.h"

namespace ddsc::cpu::DDSC_ISA {

/// The backward pass of attention_gradient.cpp on this unit.
struct FloatAttentionGradient {
  static constexpr std::int64_t kQueryTiles = 8;
  static constexpr std::int64_t kQueryBlock = kQueryTiles * kTileRows;
  static constexpr std::int64_t kPartKeys = 2 * kKeyBlock;

  DDSC_INLINE static std::int64_t partsOf(std::int64_t keys) { return ceilDivide(keys, kPartKeys); }

  /// Floats of the gradient of one head's queries, as tiles [token tile][column panel].
  DDSC_INLINE static std::int64_t queryGradientFloats(std::int64_t queries, std::int64_t headDim) {
    return ceilDivide(queries, kTileRows) * ceilDivide(headDim, kTileCols) * kTileSize;
  }

  /// Scratch of a task. Operands that are read both along and across a product are packed twice: as `Rows`,
  /// panels [headDim][kTileRows or kTileCols] of tokens, and as `Cols`, panels [tokens][kTileCols] of
  /// columns.
  struct Buffers {
    float* rotated;  // [queries or a block of keys, headDim]
    float *queryRows, *queryCols, *doutRows, *doutCols;
    float *keyRows, *keyCols, *valueRows;  // of a block of keys
    float *probabilities, *scoreGradient;  // [kQueryBlock, kKeyBlock]
    float *queryGradient, *partGradient;   // tiles [token tile][column panel]: of all parts, of one
    float *keyGradient, *valueGradient;    // the same, of a block of keys
    float* delta;                          // [queries] rowsum(dout * out)
    float* row;                            // [padded headDim]

    DDSC_INLINE Buffers(Arena& arena, std::int64_t mostQueries, std::int64_t mostKeys, std::int64_t headDim) {
      const std::int64_t paddedDim = ceilDivide(headDim, kTileCols) * kTileCols;
      const std::int64_t paddedRows = ceilDivide(mostQueries, kTileRows) * kTileRows;
      rotated = arena.take(most(mostQueries, least(mostKeys, kKeyBlock)) * headDim);
      queryRows = arena.take(paddedRows * headDim);
      queryCols = arena.take(mostQueries * paddedDim);
      doutRows = arena.take(paddedRows * headDim);
      doutCols = arena.take(mostQueries * paddedDim);
      keyRows = arena.take(kKeyBlock * headDim);
      keyCols = arena.take(kKeyBlock * paddedDim);
      valueRows = arena.take(kKeyBlock * headDim);
      probabilities = arena.take(kQueryBlock * kKeyBlock);
      scoreGradient = arena.take(kQueryBlock * kKeyBlock);
      queryGradient = arena.take(queryGradientFloats(mostQueries, headDim));
      partGradient = arena.take(partsOf(mostKeys) > 1 ? queryGradientFloats(mostQueries, headDim) : 0);
      keyGradient = arena.take(kKeyBlock * paddedDim);
      valueGradient = arena.take(kKeyBlock * paddedDim);
      delta = arena.take(mostQueries);
      row = arena.take(paddedDim);
    }
  };

  /// scores -> P, dout vᵀ -> dS, in place.
  template <class T>
  DDSC_INLINE static void differentiateSoftmax(const AttentionGradientTask<T>& task, const Buffers& buffers,
                                               std::int64_t firstQuery, std::int64_t queries,
                                               std::int64_t keys) {
    for (std::int64_t i = 0; i < queries; ++i) {
      const F logSumExp = set1(kLog2E * task.logSumExp[(firstQuery + i) * task.logSumExpStride]);
      const F delta = set1(buffers.delta[firstQuery + i]);
      float* p = buffers.probabilities + i * kKeyBlock;
      float* ds = buffers.scoreGradient + i * kKeyBlock;
      for (std::int64_t key = 0; key < keys; key += kWidth) {
        const F probability = exp2(load(p + key) - logSumExp);
        store(p + key, probability);
        store(ds + key, probability * (load(ds + key) - delta));
      }
    }
  }

  /// One block of queries against one block of keys: adds to all three gradients, which the first block of
  /// queries or of a part's keys begins.
  template <class T>
  DDSC_INLINE static void differentiateBlock(const AttentionGradientTask<T>& task, const Buffers& buffers,
                                             std::int64_t firstQuery, std::int64_t keys, bool firstKeys,
                                             float* queryGradient) {
    const std::int64_t headDim = task.query.dim, columnPanels = ceilDivide(headDim, kTileCols);
    const std::int64_t queries = least(kQueryBlock, task.queries - firstQuery);
    for (std::int64_t key = 0; key < keys; key += kTileCols) {
      for (std::int64_t i = 0; i < queries; i += kTileRows) {
        const std::int64_t rows = (firstQuery + i) * headDim, at = i * kKeyBlock + key;
        multiplyTile<1, kTileRows, kKeyBlock>(headDim, buffers.queryRows + rows,
                                              buffers.keyRows + key * headDim, buffers.probabilities + at,
                                              Tile::overwrite);
        multiplyTile<1, kTileRows, kKeyBlock>(headDim, buffers.doutRows + rows,
                                              buffers.valueRows + key * headDim, buffers.scoreGradient + at,
                                              Tile::overwrite);
      }
    }
    differentiateSoftmax(task, buffers, firstQuery, queries, keys);
    const Tile ofQueries = firstKeys ? Tile::overwrite : Tile::add;
    const Tile ofKeys = firstQuery == 0 ? Tile::overwrite : Tile::add;
    for (std::int64_t panel = 0; panel < columnPanels; ++panel) {
      const std::int64_t queryCols = (panel * task.queries + firstQuery) * kTileCols;
      for (std::int64_t key = 0; key < keys; key += kTileRows) {
        const std::int64_t tile = (key / kTileRows * columnPanels + panel) * kTileSize;
        multiplyTile<1, kKeyBlock, kTileCols>(queries, buffers.probabilities + key,
                                              buffers.doutCols + queryCols, buffers.valueGradient + tile,
                                              ofKeys);
        multiplyTile<1, kKeyBlock, kTileCols>(queries, buffers.scoreGradient + key,
                                              buffers.queryCols + queryCols, buffers.keyGradient + tile,
                                              ofKeys);
      }
      for (std::int64_t i = 0; i < queries; i += kTileRows)
        multiplyTile<kKeyBlock, 1, kTileCols>(
            keys, buffers.scoreGradient + i * kKeyBlock, buffers.keyCols + panel * keys * kTileCols,
            queryGradient + ((firstQuery + i) / kTileRows * columnPanels + panel) * kTileSize, ofQueries);
    }
  }

  /// Everything of the queries that every part needs.
  template <class T>
  static void packQueries(const AttentionGradientTask<T>& task, const Buffers& buffers) {
    const std::int64_t headDim = task.query.dim, queries = task.queries;
    rowProducts(task, buffers.delta);
    readRotated(task.query, task.queryRotation, 0, queries, kLog2E * task.scale, buffers.rotated);
    packTransposed<kTileRows>(buffers.rotated, headDim, queries, headDim, buffers.queryRows);
    packCopied<kTileCols>(buffers.rotated, headDim, headDim, queries, buffers.queryCols);
    packTransposed<kTileRows>(task.dout.data, task.dout.stride, queries, headDim, buffers.doutRows);
    packCopied<kTileCols>(task.dout.data, task.dout.stride, headDim, queries, buffers.doutCols);
  }

  /// One part of the keys against all queries: writes the part's keys' and values' gradients and what it adds
  /// to the queries'.
  template <class T>
  static void differentiatePart(const AttentionGradientTask<T>& task, const Buffers& buffers,
                                std::int64_t part, float* queryGradient) {
    const std::int64_t headDim = task.query.dim;
    const std::int64_t begin = part * kPartKeys, end = least(begin + kPartKeys, task.keys);
    for (std::int64_t firstKey = begin; firstKey < end; firstKey += kKeyBlock) {
      const std::int64_t keys = least(kKeyBlock, end - firstKey);
      readRotated(task.key, task.keyRotation, firstKey, keys, 1.0f, buffers.rotated);
      packTransposed<kTileCols>(buffers.rotated, headDim, keys, headDim, buffers.keyRows);
      packCopied<kTileCols>(buffers.rotated, headDim, headDim, keys, buffers.keyCols);
      packTransposed<kTileCols>(task.value.row(firstKey), task.value.stride, keys, headDim,
                                buffers.valueRows);
      for (std::int64_t firstQuery = 0; firstQuery < task.queries; firstQuery += kQueryBlock)
        differentiateBlock(task, buffers, firstQuery, keys, firstKey == begin, queryGradient);
      // Queries carry the scale already, and log2(e).
      writeKeyGradients<kTileRows>(task, buffers.keyGradient, buffers.valueGradient, firstKey, keys, kLn2,
                                   buffers.row);
    }
  }

  template <class T>
  static void writeQueryGradient(const AttentionGradientTask<T>& task, const float* tiles, float* row) {
    const std::int64_t columnPanels = ceilDivide(task.query.dim, kTileCols);
    for (std::int64_t i = 0; i < task.queries; ++i)
      writeUnrotated(task.queryGradient, task.queryRotation, i, task.scale,
                     gatherRow<kTileRows>(tiles, i, columnPanels, row));
  }
};

}  // namespace ddsc::cpu::DDSC_ISA
