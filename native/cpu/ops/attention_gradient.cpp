// Flash attention, backward: over blocks of keys, over blocks of queries, the probabilities are computed
// again from the saved log-sum-exp and used for all three gradients. With P the probabilities and D =
// rowsum(dout * out):
//   dv = Pᵀ dout,  dS = P (dout vᵀ - D),  dq = dS k / sqrt(headDim),  dk = dSᵀ q / sqrt(headDim)
// in rotated coordinates, rotated back when written. Scores are in base 2, as in forward. Nothing of size
// rows x rows is kept. A task is one head of one cell, so every gradient is summed by one thread in a fixed
// order.

#include "cpu/ops/attention.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kQueryTiles = 8;
constexpr std::int64_t kQueryBlock = kQueryTiles * kTileRows;
constexpr std::int64_t kPartKeys = 2 * kKeyBlock;

DDSC_INLINE std::int64_t partsOf(std::int64_t length) { return ceilDivide(length, kPartKeys); }

/// Floats of the gradient of one head's queries, as tiles [token tile][column panel].
DDSC_INLINE std::int64_t queryGradientFloats(std::int64_t length, std::int64_t headDim) {
  return ceilDivide(length, kTileRows) * ceilDivide(headDim, kTileCols) * kTileSize;
}

/// Scratch of a task. Operands that are read both along and across a product are packed twice: as `Rows`,
/// panels [headDim][kTileRows or kTileCols] of tokens, and as `Cols`, panels [tokens][kTileCols] of columns.
struct Buffers {
  float* rotated;  // [longest or a block, headDim]
  float *queryRows, *queryCols, *doutRows, *doutCols;
  float *keyRows, *keyCols, *valueRows;  // of a block of keys
  float *probabilities, *scoreGradient;  // [kQueryBlock, kKeyBlock]
  float *queryGradient, *partGradient;   // tiles [token tile][column panel]: of all parts, of one
  float *keyGradient, *valueGradient;    // the same, of a block of keys
  float* delta;                          // [longest] rowsum(dout * out)
  float* row;                            // [padded headDim]

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
    queryGradient = arena.take(queryGradientFloats(longest, headDim));
    partGradient = arena.take(partsOf(longest) > 1 ? queryGradientFloats(longest, headDim) : 0);
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
  float scale;
};

/// delta[i] = sum of dout[i] * out[i].
template <class T>
DDSC_INLINE void rowProducts(const HeadTask<T>& task, float* delta) {
  const std::int64_t headDim = task.out.dim;
  for (std::int64_t i = 0; i < task.length; ++i) {
    const T *dout = task.dout.row(i), *out = task.out.row(i);
    prefetch(task.dout.row(i + kRowsAhead), headDim * static_cast<std::int64_t>(sizeof(T)));
    prefetch(task.out.row(i + kRowsAhead), headDim * static_cast<std::int64_t>(sizeof(T)));
    F total = zero();
    eachColumnVector(headDim, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
      total = fma(load(dout + j, lanes), load(out + j, lanes), total);
    });
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
DDSC_INLINE void differentiateBlock(const HeadTask<T>& task, const Buffers& buffers, std::int64_t firstQuery,
                                    std::int64_t keys, bool firstKeys, float* queryGradient) {
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
  const Tile ofQueries = firstKeys ? Tile::overwrite : Tile::add;
  const Tile ofKeys = firstQuery == 0 ? Tile::overwrite : Tile::add;
  for (std::int64_t panel = 0; panel < columnPanels; ++panel) {
    const std::int64_t queryCols = (panel * task.length + firstQuery) * kTileCols;
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
void packQueries(const HeadTask<T>& task, const Buffers& buffers) {
  const std::int64_t headDim = task.query.dim, length = task.length;
  rowProducts(task, buffers.delta);
  readRotated(task.query, task.rotation, 0, length, kLog2E * task.scale, buffers.rotated);
  packTransposed<kTileRows>(buffers.rotated, headDim, length, headDim, buffers.queryRows);
  packCopied<kTileCols>(buffers.rotated, headDim, headDim, length, buffers.queryCols);
  packTransposed<kTileRows>(task.dout.data, task.dout.stride, length, headDim, buffers.doutRows);
  packCopied<kTileCols>(task.dout.data, task.dout.stride, headDim, length, buffers.doutCols);
}

/// One part of the keys against all queries: writes the part's keys' and values' gradients and what it adds
/// to the queries'.
template <class T>
void differentiatePart(const HeadTask<T>& task, const Buffers& buffers, std::int64_t part,
                       float* queryGradient) {
  const std::int64_t headDim = task.query.dim, length = task.length;
  const std::int64_t columnPanels = ceilDivide(headDim, kTileCols);
  const std::int64_t begin = part * kPartKeys, end = least(begin + kPartKeys, length);
  for (std::int64_t firstKey = begin; firstKey < end; firstKey += kKeyBlock) {
    const std::int64_t keys = least(kKeyBlock, end - firstKey);
    readRotated(task.key, task.rotation, firstKey, keys, 1.0f, buffers.rotated);
    packTransposed<kTileCols>(buffers.rotated, headDim, keys, headDim, buffers.keyRows);
    packCopied<kTileCols>(buffers.rotated, headDim, headDim, keys, buffers.keyCols);
    packTransposed<kTileCols>(task.value.row(firstKey), task.value.stride, keys, headDim, buffers.valueRows);
    for (std::int64_t firstQuery = 0; firstQuery < length; firstQuery += kQueryBlock)
      differentiateBlock(task, buffers, firstQuery, keys, firstKey == begin, queryGradient);
    for (std::int64_t key = 0; key < keys; ++key) {
      // Queries carry the scale already, and log2(e).
      const float* dk = gatherRow(buffers.keyGradient, key, columnPanels, buffers.row);
      writeUnrotated(task.keyGradient, task.rotation, firstKey + key, kLn2, dk);
      const float* dv = gatherRow(buffers.valueGradient, key, columnPanels, buffers.row);
      eachColumnVector(headDim, [&](std::int64_t col, std::int64_t lanes) __attribute__((always_inline)) {
        store(task.valueGradient.row(firstKey + key) + col, load(dv + col), lanes);
      });
    }
  }
}

DDSC_INLINE void addTiles(const float* from, std::int64_t floats, float* to) {
  for (std::int64_t i = 0; i < floats; i += kWidth) store(to + i, load(to + i) + load(from + i));
}

template <class T>
void writeQueryGradient(const HeadTask<T>& task, const float* tiles, float* row) {
  const std::int64_t columnPanels = ceilDivide(task.query.dim, kTileCols);
  for (std::int64_t i = 0; i < task.length; ++i)
    writeUnrotated(task.queryGradient, task.rotation, i, task.scale, gatherRow(tiles, i, columnPanels, row));
}

template <class T>
void differentiateHead(const HeadTask<T>& task, const Buffers& buffers) {
  packQueries(task, buffers);
  differentiatePart(task, buffers, 0, buffers.queryGradient);
  for (std::int64_t part = 1; part < partsOf(task.length); ++part) {
    differentiatePart(task, buffers, part, buffers.partGradient);
    addTiles(buffers.partGradient, queryGradientFloats(task.length, task.query.dim), buffers.queryGradient);
  }
  writeQueryGradient(task, buffers.queryGradient, buffers.row);
}

/// The heads of a batch as tasks, longest cells first.
template <class T>
class Heads {
 public:
  Heads(const AttentionGradient& op, const std::int32_t* order)
      : op_(op), order_(order), dim_(op.out.cols), headDim_(dim_ / op.heads) {}

  HeadTask<T> operator[](std::int64_t index) const {
    const std::int64_t cell = order_[index / op_.heads], head = index % op_.heads;
    const std::int64_t firstRow = op_.cells.offsets[cell];
    const auto read = [&](const ConstMatrix& m, std::int64_t which) {
      return Head<const T>{m.row<T>(firstRow) + which * dim_ + head * headDim_, m.stride, headDim_};
    };
    const auto write = [&](std::int64_t which) {
      return Head<T>{op_.dqkv.row<T>(firstRow) + which * dim_ + head * headDim_, op_.dqkv.stride, headDim_};
    };
    return {.query = read(op_.qkv, 0),
            .key = read(op_.qkv, 1),
            .value = read(op_.qkv, 2),
            .out = read(op_.out, 0),
            .dout = read(op_.dout, 0),
            .queryGradient = write(0),
            .keyGradient = write(1),
            .valueGradient = write(2),
            .logSumExp = op_.logSumExp.row<float>(firstRow) + head,
            .logSumExpStride = op_.logSumExp.stride,
            .rotation = Rotation(op_.rotary, op_.cells, firstRow),
            .length = op_.cells.offsets[cell + 1] - firstRow,
            .scale = 1.0f / __builtin_sqrtf(static_cast<float>(headDim_))};
  }

 private:
  const AttentionGradient& op_;
  const std::int32_t* order_;
  std::int64_t dim_, headDim_;
};

template <class T>
void attentionGradientOf(Context& context, const AttentionGradient& op) {
  const Ragged& cells = op.cells;
  const std::int64_t longest = cells.longest, headDim = op.out.cols / op.heads;
  if (longest == 0) return;
  Arena measure;
  Buffers(measure, longest, headDim);

  const std::int64_t count = cells.cells() * op.heads, parts = partsOf(longest);
  const std::int64_t partFloats = queryGradientFloats(longest, headDim);
  constexpr std::int64_t mostPartFloats = std::int64_t{64} << 20;
  const std::int64_t threads = context.pool.threads();
  const bool split =
      parts > 1 && threads > 1 && count < 4 * threads && count * parts * partFloats <= mostPartFloats;
  const std::int64_t orderInts = ceilDivide(cellOrderInts(cells), 16) * 16;
  auto* memory = static_cast<float*>(context.scratch.shared(
      static_cast<std::size_t>(orderInts + (split ? count * parts * partFloats : 0)) * sizeof(float)));
  float* partGradients = memory + orderInts;
  const Heads<T> heads(op, longestFirst(cells, reinterpret_cast<std::int32_t*>(memory)));
  const auto buffersOf = [&](int worker) {
    Arena arena(static_cast<float*>(context.scratch.worker(worker, measure.bytes())));
    return Buffers(arena, longest, headDim);
  };

  if (!split) {
    context.pool.parallel(count, [&](std::int64_t index, int worker) {
      const HeadTask<T> task = heads[index];
      if (task.length > 0) differentiateHead(task, buffersOf(worker));
    });
    return;
  }
  context.pool.parallel(count * parts, [&](std::int64_t index, int worker) {
    const HeadTask<T> task = heads[index / parts];
    if (index % parts >= partsOf(task.length)) return;
    const Buffers buffers = buffersOf(worker);
    packQueries(task, buffers);
    differentiatePart(task, buffers, index % parts, partGradients + index * partFloats);
  });
  context.pool.parallel(count, [&](std::int64_t index, int worker) {
    const HeadTask<T> task = heads[index];
    float* total = partGradients + index * parts * partFloats;
    for (std::int64_t part = 1; part < partsOf(task.length); ++part)
      addTiles(total + part * partFloats, queryGradientFloats(task.length, headDim), total);
    writeQueryGradient(task, total, buffersOf(worker).row);
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
