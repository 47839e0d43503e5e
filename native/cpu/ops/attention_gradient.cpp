// Flash attention, backward: over blocks of keys, over blocks of queries, the probabilities are computed
// again from the saved log-sum-exp and used for all three gradients. With P the probabilities and D =
// rowsum(dout * out):
//   dv = Pᵀ dout,  dS = P (dout vᵀ - D),  dq = dS k / sqrt(headDim),  dk = dSᵀ q / sqrt(headDim)
// in rotated coordinates, rotated back when written. Nothing of size rows x rows is kept. A task is one head
// of one cell, so every gradient is summed by one thread in a fixed order.

#include "cpu/ops/attention.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kQueryTiles = 8;
constexpr std::int64_t kQueryBlock = kQueryTiles * kTileRows;

/// Scratch of a task. Operands that are read both along and across a product are packed twice: as `Rows`,
/// panels [headDim][kTileRows or kTileCols] of tokens, and as `Cols`, panels [tokens][kTileCols] of columns.
struct Buffers {
  float* rotated;  // [longest or a block, headDim]
  float *queryRows, *queryCols, *doutRows, *doutCols;
  float *keyRows, *keyCols, *valueRows;                // of a block of keys
  float *probabilities, *scoreGradient;                // [kQueryBlock, kKeyBlock]
  float *queryGradient, *keyGradient, *valueGradient;  // tiles [token tile][column panel]
  float* delta;                                        // [longest] rowsum(dout * out)
  float* row;                                          // [padded headDim]

  DDSC_INLINE Buffers(Arena& arena, std::int64_t longest, std::int64_t headDim) {
    const std::int64_t paddedDim = ceilDivide(headDim, kTileCols) * kTileCols;
    const std::int64_t paddedRows = ceilDivide(longest, kTileRows) * kTileRows;
    rotated = arena.take(longest * headDim);
    queryRows = arena.take(paddedRows * headDim);
    queryCols = arena.take(longest * paddedDim);
    doutRows = arena.take(paddedRows * headDim);
    doutCols = arena.take(longest * paddedDim);
    keyRows = arena.take(kKeyBlock * headDim);
    keyCols = arena.take(kKeyBlock * paddedDim);
    valueRows = arena.take(kKeyBlock * headDim);
    probabilities = arena.take(kQueryBlock * kKeyBlock);
    scoreGradient = arena.take(kQueryBlock * kKeyBlock);
    queryGradient = arena.take(paddedRows * paddedDim);
    keyGradient = arena.take(kKeyBlock * paddedDim);
    valueGradient = arena.take(kKeyBlock * paddedDim);
    delta = arena.take(longest);
    row = arena.take(paddedDim);
  }
};

template <class T>
struct HeadTask {
  Head<const T> query, key, value, out, dout;
  Head<T> queryGradient, keyGradient, valueGradient;
  const float* logSumExp;  // of the cell's first row, logSumExpStride apart
  std::int64_t logSumExpStride;
  Rotation rotation;
  std::int64_t length;
};

DDSC_INLINE void clear(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kWidth) store(values + i, zero());
}

/// delta[i] = sum of dout[i] * out[i].
template <class T>
DDSC_INLINE void rowProducts(const HeadTask<T>& task, float* delta) {
  const std::int64_t headDim = task.out.dim;
  for (std::int64_t i = 0; i < task.length; ++i) {
    F total = zero();
    for (std::int64_t j = 0; j < headDim; j += kWidth) {
      const std::int64_t lanes = least(kWidth, headDim - j);
      total = fma(load(task.dout.row(i) + j, lanes), load(task.out.row(i) + j, lanes), total);
    }
    delta[i] = sum(total);
  }
}

/// Row `row` of tiles [token tile][column panel], end to end.
DDSC_INLINE const float* gatherRow(const float* tiles, std::int64_t row, std::int64_t columnPanels,
                                   float* out) {
  const float* from = tiles + (row / kTileRows * columnPanels * kTileRows + row % kTileRows) * kTileCols;
  for (std::int64_t panel = 0; panel < columnPanels; ++panel)
    for (std::int64_t col = 0; col < kTileCols; col += kWidth)
      store(out + panel * kTileCols + col, load(from + panel * kTileSize + col));
  return out;
}

/// scores -> P, dout vᵀ -> dS, in place.
template <class T>
DDSC_INLINE void differentiateSoftmax(const HeadTask<T>& task, const Buffers& buffers,
                                      std::int64_t firstQuery, std::int64_t queries, std::int64_t keys) {
  for (std::int64_t i = 0; i < queries; ++i) {
    const F logSumExp = set1(task.logSumExp[(firstQuery + i) * task.logSumExpStride]);
    const F delta = set1(buffers.delta[firstQuery + i]);
    float* p = buffers.probabilities + i * kKeyBlock;
    float* ds = buffers.scoreGradient + i * kKeyBlock;
    for (std::int64_t key = 0; key < keys; key += kWidth) {
      const F probability = exp(load(p + key) - logSumExp);
      store(p + key, probability);
      store(ds + key, probability * (load(ds + key) - delta));
    }
  }
}

/// One block of queries against one block of keys: adds to all three gradients.
template <class T>
DDSC_INLINE void differentiateBlock(const HeadTask<T>& task, const Buffers& buffers, std::int64_t firstQuery,
                                    std::int64_t keys) {
  const std::int64_t headDim = task.query.dim, columnPanels = ceilDivide(headDim, kTileCols);
  const std::int64_t queries = least(kQueryBlock, task.length - firstQuery);
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
  for (std::int64_t panel = 0; panel < columnPanels; ++panel) {
    const std::int64_t queryCols = (panel * task.length + firstQuery) * kTileCols;
    for (std::int64_t key = 0; key < keys; key += kTileRows) {
      const std::int64_t tile = (key / kTileRows * columnPanels + panel) * kTileSize;
      multiplyTile<1, kKeyBlock, kTileCols>(queries, buffers.probabilities + key,
                                            buffers.doutCols + queryCols, buffers.valueGradient + tile,
                                            Tile::add);
      multiplyTile<1, kKeyBlock, kTileCols>(queries, buffers.scoreGradient + key,
                                            buffers.queryCols + queryCols, buffers.keyGradient + tile,
                                            Tile::add);
    }
    for (std::int64_t i = 0; i < queries; i += kTileRows)
      multiplyTile<kKeyBlock, 1, kTileCols>(
          keys, buffers.scoreGradient + i * kKeyBlock, buffers.keyCols + panel * keys * kTileCols,
          buffers.queryGradient + ((firstQuery + i) / kTileRows * columnPanels + panel) * kTileSize,
          Tile::add);
  }
}

template <class T>
void differentiateHead(const HeadTask<T>& task, const Buffers& buffers) {
  const std::int64_t headDim = task.query.dim, length = task.length;
  const std::int64_t columnPanels = ceilDivide(headDim, kTileCols), paddedDim = columnPanels * kTileCols;
  const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(headDim));

  rowProducts(task, buffers.delta);
  readRotated(task.query, task.rotation, 0, length, scale, buffers.rotated);
  packTransposed<kTileRows>(buffers.rotated, headDim, length, headDim, buffers.queryRows);
  packCopied<kTileCols>(buffers.rotated, headDim, headDim, length, buffers.queryCols);
  packTransposed<kTileRows>(task.dout.data, task.dout.stride, length, headDim, buffers.doutRows);
  packCopied<kTileCols>(task.dout.data, task.dout.stride, headDim, length, buffers.doutCols);
  clear(buffers.queryGradient, ceilDivide(length, kTileRows) * kTileRows * paddedDim);

  for (std::int64_t firstKey = 0; firstKey < length; firstKey += kKeyBlock) {
    const std::int64_t keys = least(kKeyBlock, length - firstKey);
    readRotated(task.key, task.rotation, firstKey, keys, 1.0f, buffers.rotated);
    packTransposed<kTileCols>(buffers.rotated, headDim, keys, headDim, buffers.keyRows);
    packCopied<kTileCols>(buffers.rotated, headDim, headDim, keys, buffers.keyCols);
    packTransposed<kTileCols>(task.value.row(firstKey), task.value.stride, keys, headDim, buffers.valueRows);
    clear(buffers.keyGradient, kKeyBlock * paddedDim);
    clear(buffers.valueGradient, kKeyBlock * paddedDim);
    for (std::int64_t firstQuery = 0; firstQuery < length; firstQuery += kQueryBlock)
      differentiateBlock(task, buffers, firstQuery, keys);
    for (std::int64_t key = 0; key < keys; ++key) {
      // Queries carry the scale already.
      const float* dk = gatherRow(buffers.keyGradient, key, columnPanels, buffers.row);
      writeUnrotated(task.keyGradient, task.rotation, firstKey + key, 1.0f, dk);
      const float* dv = gatherRow(buffers.valueGradient, key, columnPanels, buffers.row);
      for (std::int64_t col = 0; col < headDim; col += kWidth)
        store(task.valueGradient.row(firstKey + key) + col, load(dv + col), least(kWidth, headDim - col));
    }
  }
  for (std::int64_t i = 0; i < length; ++i) {
    const float* dq = gatherRow(buffers.queryGradient, i, columnPanels, buffers.row);
    writeUnrotated(task.queryGradient, task.rotation, i, scale, dq);
  }
}

template <class T>
void attentionGradientOf(Context& context, const AttentionGradient& op) {
  const Ragged& cells = op.cells;
  const std::int64_t dim = op.out.cols, headDim = dim / op.heads, longest = cells.longest;
  if (longest == 0) return;
  const std::int32_t* order =
      longestFirst(cells, static_cast<std::int32_t*>(context.scratch.shared(
                              static_cast<std::size_t>(cellOrderInts(cells)) * sizeof(std::int32_t))));
  Arena measure;
  Buffers(measure, longest, headDim);

  context.pool.parallel(cells.cells() * op.heads, [&](std::int64_t index, int worker) {
    const std::int64_t cell = order[index / op.heads], head = index % op.heads;
    const std::int64_t firstRow = cells.offsets[cell], length = cells.offsets[cell + 1] - firstRow;
    if (length == 0) return;
    Arena arena(static_cast<float*>(context.scratch.worker(worker, measure.bytes())));
    const Buffers buffers(arena, longest, headDim);
    const auto read = [&](const ConstMatrix& m, std::int64_t which) {
      return Head<const T>{m.row<T>(firstRow) + which * dim + head * headDim, m.stride, headDim};
    };
    const auto write = [&](std::int64_t which) {
      return Head<T>{op.dqkv.row<T>(firstRow) + which * dim + head * headDim, op.dqkv.stride, headDim};
    };
    differentiateHead<T>({.query = read(op.qkv, 0),
                          .key = read(op.qkv, 1),
                          .value = read(op.qkv, 2),
                          .out = read(op.out, 0),
                          .dout = read(op.dout, 0),
                          .queryGradient = write(0),
                          .keyGradient = write(1),
                          .valueGradient = write(2),
                          .logSumExp = op.logSumExp.row<float>(firstRow) + head,
                          .logSumExpStride = op.logSumExp.stride,
                          .rotation = Rotation(op.rotary, cells, firstRow),
                          .length = length},
                         buffers);
  });
}

}  // namespace

void attentionGradient(Context& context, const AttentionGradient& op) {
  if (op.qkv.type == DType::f32) {
    attentionGradientOf<float>(context, op);
  } else {
    attentionGradientOf<bf16>(context, op);
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
