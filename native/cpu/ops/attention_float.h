#pragma once
// Attention forward on float32 multiply-adds, for either type of storage: bf16 is widened while it is packed.
// Scores are [queries, keys], so a query's softmax runs along a row.

#include "cpu/ops/attention.h"

namespace ddsc::cpu::DDSC_ISA {

/// The forward pass of attention.cpp on this unit.
struct FloatAttention {
  /// Query tiles that share a pass over the keys.
  static constexpr std::int64_t kQueryTiles = 4;
  static constexpr std::int64_t kQueryBlock = kQueryTiles * kTileRows;

  /// Scratch of a task.
  struct Buffers {
    float* rotated;  // [keys or a block of queries, headDim]
    float* keys;     // panels [headDim][kTileCols] of keys
    float* values;   // panels [keys][kTileCols] of value columns
    float* queries;  // panels [headDim][kTileRows] of queries
    float* scores;   // [kQueryBlock, kKeyBlock], then their exponentials
    float* sums;     // tiles of out, [query tile][column panel]
    float* maximum;  // [kQueryBlock] of the scores so far
    float* total;    // [kQueryBlock] sum of exponentials so far
    float* rescale;  // [kQueryBlock]

    DDSC_INLINE Buffers(Arena& arena, std::int64_t mostQueries, std::int64_t mostKeys, std::int64_t headDim) {
      const std::int64_t paddedDim = ceilDivide(headDim, kTileCols) * kTileCols;
      rotated = arena.take(most(mostKeys, least(mostQueries, kQueryBlock)) * headDim);
      keys = arena.take(ceilDivide(mostKeys, kTileCols) * kTileCols * headDim);
      values = arena.take(mostKeys * paddedDim);
      queries = arena.take(kQueryBlock * headDim);
      scores = arena.take(kQueryBlock * kKeyBlock);
      sums = arena.take(kQueryBlock * paddedDim);
      maximum = arena.take(kQueryBlock + kWidth);
      total = arena.take(kQueryBlock + kWidth);
      rescale = arena.take(kQueryBlock + kWidth);
    }
  };

  /// Raises maximum[row] to the largest of the row's scores, and says by how much sums so far shrink. Places
  /// past `keys` become -inf up to a whole vector.
  DDSC_INLINE static void raiseMaxima(const Buffers& buffers, std::int64_t rows, std::int64_t keys) {
    const F lowest = set1(-__builtin_inff());
    float raised[kQueryBlock + kWidth];
    for (std::int64_t row = 0; row < rows; ++row) {
      float* scores = buffers.scores + row * kKeyBlock;
      if (const std::int64_t whole = keys / kWidth * kWidth; whole < keys)
        store(scores + whole, select(firstLanes(keys - whole), load(scores + whole), lowest));
      F left = lowest, right = lowest;
      for (std::int64_t key = 0; key < keys; key += 2 * kWidth) {
        left = max(left, load(scores + key));
        if (key + kWidth < keys) right = max(right, load(scores + key + kWidth));
      }
      raised[row] = maximum(max(left, right));
    }
    for (std::int64_t row = 0; row < rows; row += kWidth) {
      const std::int64_t lanes = least(kWidth, rows - row);
      const F before = load(buffers.maximum + row, lanes);
      const F now = max(before, load(raised + row, lanes));
      store(buffers.rescale + row, exp2(before - now), lanes);
      store(buffers.maximum + row, now, lanes);
    }
  }

  /// Scores become exponentials of their distance from the maximum; their sum joins the rescaled total.
  DDSC_INLINE static void exponentiate(const Buffers& buffers, std::int64_t rows, std::int64_t keys) {
    for (std::int64_t row = 0; row < rows; ++row) {
      float* scores = buffers.scores + row * kKeyBlock;
      const F top = set1(buffers.maximum[row]);
      F left = zero(), right = zero();
      std::int64_t key = 0;
      for (; key + kWidth < keys; key += 2 * kWidth) {
        const F a = exp2(load(scores + key) - top), b = exp2(load(scores + key + kWidth) - top);
        store(scores + key, a);
        store(scores + key + kWidth, b);
        left = left + a;
        right = right + b;
      }
      if (key < keys) {
        const F a = exp2(load(scores + key) - top);
        store(scores + key, a);
        left = left + a;
      }
      buffers.total[row] = buffers.total[row] * buffers.rescale[row] + sum(left + right);
    }
  }

  /// Rows of a tile times their factors, most of which are 1 once the maximum is found.
  DDSC_INLINE static void shrinkTile(const float* factors, float* tile) {
    for (std::int64_t row = 0; row < kTileRows; ++row) {
      if (factors[row] == 1.0f) continue;
      const F factor = set1(factors[row]);
      for (std::int64_t col = 0; col < kTileCols; col += kWidth)
        store(tile + row * kTileCols + col, factor * load(tile + row * kTileCols + col));
    }
  }

  /// The queries of one block against all keys of the cell; leaves unnormalised sums, maxima and totals.
  DDSC_INLINE static void attend(const Buffers& buffers, std::int64_t queries, std::int64_t keys,
                                 std::int64_t headDim) {
    const std::int64_t columnPanels = ceilDivide(headDim, kTileCols), tiles = ceilDivide(queries, kTileRows);
    const std::int64_t rows = tiles * kTileRows;
    for (std::int64_t row = 0; row < rows; ++row) {
      buffers.maximum[row] = -__builtin_inff();
      buffers.total[row] = 0;
    }
    for (std::int64_t firstKey = 0; firstKey < keys; firstKey += kKeyBlock) {
      const std::int64_t blockKeys = least(kKeyBlock, keys - firstKey);
      for (std::int64_t key = 0; key < blockKeys; key += kTileCols)
        for (std::int64_t tile = 0; tile < tiles; ++tile)
          multiplyTile<1, kTileRows, kKeyBlock>(headDim, buffers.queries + tile * kTileRows * headDim,
                                                buffers.keys + (firstKey + key) * headDim,
                                                buffers.scores + tile * kTileRows * kKeyBlock + key,
                                                Tile::overwrite);
      raiseMaxima(buffers, rows, blockKeys);
      exponentiate(buffers, rows, blockKeys);
      for (std::int64_t panel = 0; panel < columnPanels; ++panel) {
        for (std::int64_t tile = 0; tile < tiles; ++tile) {
          float* sums = buffers.sums + (tile * columnPanels + panel) * kTileSize;
          if (firstKey > 0) shrinkTile(buffers.rescale + tile * kTileRows, sums);
          multiplyTile<kKeyBlock, 1, kTileCols>(blockKeys, buffers.scores + tile * kTileRows * kKeyBlock,
                                                buffers.values + (panel * keys + firstKey) * kTileCols, sums,
                                                firstKey == 0 ? Tile::overwrite : Tile::add);
        }
      }
    }
  }

  template <class T>
  static void attendHead(const AttentionTask<T>& task, const Buffers& buffers) {
    const std::int64_t headDim = task.query.dim, keys = task.keys;
    const std::int64_t columnPanels = ceilDivide(headDim, kTileCols);
    readRotated(task.key, task.keyRotation, 0, keys, 1.0f, buffers.rotated);
    packTransposed<kTileCols>(buffers.rotated, headDim, keys, headDim, buffers.keys);
    packCopied<kTileCols>(task.value.data, task.value.stride, headDim, keys, buffers.values);
    const float scale = kLog2E / __builtin_sqrtf(static_cast<float>(headDim));
    for (std::int64_t first = task.firstQuery; first < task.endQuery; first += kQueryBlock) {
      const std::int64_t queries = least(kQueryBlock, task.endQuery - first);
      readRotated(task.query, task.queryRotation, first, queries, scale, buffers.rotated);
      packTransposed<kTileRows>(buffers.rotated, headDim, queries, headDim, buffers.queries);
      attend(buffers, queries, keys, headDim);
      for (std::int64_t row = 0; row < queries; row += kWidth) {
        const F total = load(buffers.total + row), maximum = load(buffers.maximum + row);
        store(buffers.total + row, set1(1.0f) / total);
        store(buffers.maximum + row, fma(maximum, set1(kLn2), log(total)));
      }
      for (std::int64_t row = 0; row < queries; ++row) {
        const F inverse = set1(buffers.total[row]);
        const float* sums =
            buffers.sums + (row / kTileRows * columnPanels * kTileRows + row % kTileRows) * kTileCols;
        T* to = task.out.row(first + row);
        eachColumnVector(headDim, [&](std::int64_t col, std::int64_t lanes) __attribute__((always_inline)) {
          const float* from = sums + col / kTileCols * kTileSize + col % kTileCols;
          store(to + col, inverse * load(from), lanes);
        });
        task.logSumExp[(first + row) * task.logSumExpStride] = buffers.maximum[row];
      }
    }
  }
};

}  // namespace ddsc::cpu::DDSC_ISA
