#pragma once
// What attention's forward and backward share: the blocks they work in, reading and writing heads with the
// rotary embedding, and the order in which cells are taken.

#include "cpu/context.h"
#include "cpu/gemm/gemm_kernel.h"
#include "cpu/gemm/gemm_pack.h"

namespace ddsc::cpu::DDSC_ISA {

/// Keys of a block: the width of a buffer of scores. Whole tiles both ways, as keys are columns of the scores
/// and, in backward, rows of their gradients; small enough that a block of scores stays in the second-level
/// cache.
#if defined(__AVX512F__)
inline constexpr std::int64_t kKeyBlock = 224;
#elif defined(__AVX2__) || defined(DDSC_NEON)
inline constexpr std::int64_t kKeyBlock = 240;
#else
inline constexpr std::int64_t kKeyBlock = 256;
#endif
static_assert(kKeyBlock % kTileRows == 0 && kKeyBlock % kTileCols == 0);

inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

/// One head of q, k, v or a gradient: the asking rows of a cell, or its key rows, by headDim.
template <class T>
struct Head {
  T* data;
  std::int64_t stride, dim;
  DDSC_INLINE T* row(std::int64_t i) const { return data + i * stride; }
};

/// Cosine and sine of each position of a cell's asking rows, or of its keys; positions are the rows' own.
struct Rotation {
  const float* cosine = nullptr;  // null: no rotary embedding
  const float* sine = nullptr;
  const std::int32_t* position = nullptr;  // of the first row

  DDSC_INLINE Rotation(const RotaryTable& table, const Ragged& rows, std::int64_t firstRow)
      : cosine(table.cosine.data), sine(table.sine.data), position(rows.position.data + firstRow) {}
};

/// body(j, lanes) for the vectors of `count` columns, lanes without a mask where they are whole.
template <class Body>
DDSC_INLINE void eachColumnVector(std::int64_t count, const Body& body) {
  if (count % kWidth == 0) {
    for (std::int64_t j = 0; j < count; j += kWidth) body(j, kWidth);
  } else {
    for (std::int64_t j = 0; j < count; j += kWidth) body(j, least(kWidth, count - j));
  }
}

/// out[i, :] = factor * rotate(rows first + i of the head), count rows, dim apart.
template <class T, class Out>
DDSC_INLINE void readRotated(const Head<const T>& head, const Rotation& rotation, std::int64_t first,
                             std::int64_t count, float factor, Out* out) {
  const F scale = set1(factor);
  const std::int64_t half = head.dim / 2;
  for (std::int64_t i = 0; i < count; ++i, out += head.dim) {
    const T* from = head.row(first + i);
    prefetch(head.row(first + i + kRowsAhead), head.dim * static_cast<std::int64_t>(sizeof(T)));
    if (rotation.cosine == nullptr) {
      eachColumnVector(head.dim, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
        store(out + j, scale * load(from + j, lanes), lanes);
      });
      continue;
    }
    const std::int64_t at = rotation.position[first + i] * half;
    eachColumnVector(half, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
      const F a = scale * load(from + j, lanes), b = scale * load(from + half + j, lanes);
      const F cosine = load(rotation.cosine + at + j, lanes), sine = load(rotation.sine + at + j, lanes);
      store(out + j, fnma(b, sine, a * cosine), lanes);
      store(out + half + j, fma(a, sine, b * cosine), lanes);
    });
  }
}

/// Row `row` of the head = the inverse rotation of factor * values: the backward of readRotated.
template <class T>
DDSC_INLINE void writeUnrotated(const Head<T>& head, const Rotation& rotation, std::int64_t row, float factor,
                                const float* values) {
  const F scale = set1(factor);
  const std::int64_t half = head.dim / 2;
  T* to = head.row(row);
  if (rotation.cosine == nullptr) {
    eachColumnVector(head.dim, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
      store(to + j, scale * load(values + j, lanes), lanes);
    });
    return;
  }
  const std::int64_t at = rotation.position[row] * half;
  eachColumnVector(half, [&](std::int64_t j, std::int64_t lanes) __attribute__((always_inline)) {
    const F a = scale * load(values + j, lanes), b = scale * load(values + half + j, lanes);
    const F cosine = load(rotation.cosine + at + j, lanes), sine = load(rotation.sine + at + j, lanes);
    store(to + j, fma(b, sine, a * cosine), lanes);
    store(to + half + j, fnma(a, sine, b * cosine), lanes);
  });
}

/// Cells by their work (asking rows times keys), most first, so that the last tasks to run are short ones;
/// those that differ by less than a thousandth of the largest, in order. In `memory`, which holds
/// cellOrderInts(cells) integers: a counting sort.
inline constexpr std::int64_t kWorkBins = 1024;
DDSC_INLINE std::int64_t cellOrderInts(const Ragged& cells) { return cells.cells() + kWorkBins + 1; }
DDSC_INLINE const std::int32_t* mostWorkFirst(const Ragged& cells, const Ragged& keys, std::int32_t* memory) {
  std::int32_t* order = memory;
  std::int32_t* starts = memory + cells.cells();
  const auto work = [&](std::int64_t cell) {
    return std::int64_t{cells.offsets[cell + 1] - cells.offsets[cell]} *
           (keys.offsets[cell + 1] - keys.offsets[cell]);
  };
  std::int64_t largest = 1;
  for (std::int64_t cell = 0; cell < cells.cells(); ++cell) largest = most(largest, work(cell));
  const auto bin = [&](std::int64_t cell) {
    const double share = static_cast<double>(largest - work(cell)) / static_cast<double>(largest);
    return static_cast<std::int64_t>(share * static_cast<double>(kWorkBins - 1));
  };
  for (std::int64_t i = 0; i <= kWorkBins; ++i) starts[i] = 0;
  for (std::int64_t cell = 0; cell < cells.cells(); ++cell) ++starts[bin(cell) + 1];
  for (std::int64_t i = 0; i < kWorkBins; ++i) starts[i + 1] += starts[i];
  for (std::int64_t cell = 0; cell < cells.cells(); ++cell)
    order[starts[bin(cell)]++] = static_cast<std::int32_t>(cell);
  return order;
}

/// Hands out buffers from one block of scratch, each on a cache line of its own.
class Arena {
 public:
  DDSC_INLINE explicit Arena(float* memory = nullptr) : memory_(memory) {}
  template <class T = float>
  DDSC_INLINE T* take(std::int64_t count) {
    float* part = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ +=
        roundUp(count * static_cast<std::int64_t>(sizeof(T)), 64) / static_cast<std::int64_t>(sizeof(float));
    return reinterpret_cast<T*>(part);
  }
  /// With no memory given: what all that was taken needs.
  DDSC_INLINE std::size_t bytes() const { return static_cast<std::size_t>(used_) * sizeof(float); }

 private:
  float* memory_;
  std::int64_t used_ = 0;
};

/// A range of queries of one head of one cell.
template <class T>
struct AttentionTask {
  Head<const T> query, key, value;
  Head<T> out;
  float* logSumExp;  // of the cell's first asking row, logSumExpStride apart
  std::int64_t logSumExpStride;
  Rotation queryRotation, keyRotation;
  std::int64_t keys;  // at least one
  std::int64_t firstQuery, endQuery;
};

/// One head of one cell, backward.
template <class T>
struct AttentionGradientTask {
  Head<const T> query, key, value, out, dout;
  Head<T> queryGradient, keyGradient, valueGradient;
  const float* logSumExp;  // of the cell's first asking row, logSumExpStride apart
  std::int64_t logSumExpStride;
  Rotation queryRotation, keyRotation;
  std::int64_t queries, keys;  // none of either: nothing to sum
  float scale;
};

/// delta[i] = sum of dout[i] * out[i].
template <class T>
DDSC_INLINE void rowProducts(const AttentionGradientTask<T>& task, float* delta) {
  const std::int64_t headDim = task.out.dim;
  for (std::int64_t i = 0; i < task.queries; ++i) {
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
template <std::int64_t tileRows>
DDSC_INLINE const float* gatherRow(const float* tiles, std::int64_t row, std::int64_t columnPanels,
                                   float* out) {
  const float* from = tiles + (row / tileRows * columnPanels * tileRows + row % tileRows) * kTileCols;
  for (std::int64_t panel = 0; panel < columnPanels; ++panel)
    for (std::int64_t col = 0; col < kTileCols; col += kWidth)
      store(out + panel * kTileCols + col, load(from + panel * tileRows * kTileCols + col));
  return out;
}

/// Writes the gradients of `keys` keys and values from firstKey on: tiles [key tile][column panel], the keys'
/// in rotated coordinates and times `factor`. `row` has room for whole column panels.
template <std::int64_t tileRows, class T>
DDSC_INLINE void writeKeyGradients(const AttentionGradientTask<T>& task, const float* keyGradient,
                                   const float* valueGradient, std::int64_t firstKey, std::int64_t keys,
                                   float factor, float* row) {
  const std::int64_t headDim = task.query.dim, columnPanels = ceilDivide(headDim, kTileCols);
  for (std::int64_t i = 0; i < keys; ++i) {
    const float* dk = gatherRow<tileRows>(keyGradient, i, columnPanels, row);
    writeUnrotated(task.keyGradient, task.keyRotation, firstKey + i, factor, dk);
    const float* dv = gatherRow<tileRows>(valueGradient, i, columnPanels, row);
    T* to = task.valueGradient.row(firstKey + i);
    eachColumnVector(headDim, [&](std::int64_t col, std::int64_t lanes) __attribute__((always_inline)) {
      store(to + col, load(dv + col, lanes), lanes);
    });
  }
}

/// The gradients of keys that nobody asks.
template <class T>
DDSC_INLINE void zeroKeyGradients(const AttentionGradientTask<T>& task) {
  for (std::int64_t key = 0; key < task.keys; ++key) {
    T *ofKey = task.keyGradient.row(key), *ofValue = task.valueGradient.row(key);
    eachColumnVector(task.key.dim, [&](std::int64_t col, std::int64_t lanes) __attribute__((always_inline)) {
      store(ofKey + col, zero(), lanes);
      store(ofValue + col, zero(), lanes);
    });
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
