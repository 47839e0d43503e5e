#pragma once
// How kernels walk rows and columns: whole vectors and their tails, rows in chunks, the chunks of a ragged
// batch's cells. For files of cpu/ops/ only (compiled once per instruction set).

#include "cpu/context.h"
#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

/// Every lane of a vector.
struct AllLanes {};
/// The first `count` lanes of a vector, 0 < count < kWidth.
struct FirstLanes {
  std::int64_t count;
};

template <class T>
DDSC_INLINE auto load(const T* p, AllLanes) {
  return load(p);
}
template <class T>
DDSC_INLINE auto load(const T* p, FirstLanes lanes) {
  return load(p, lanes.count);
}
template <class T, class Vector>
DDSC_INLINE void store(T* p, Vector v, AllLanes) {
  store(p, v);
}
template <class T, class Vector>
DDSC_INLINE void store(T* p, Vector v, FirstLanes lanes) {
  store(p, v, lanes.count);
}
/// v in the given lanes, `other` elsewhere.
DDSC_INLINE F keep(F v, F, AllLanes) { return v; }
DDSC_INLINE F keep(F v, F other, FirstLanes lanes) { return select(firstLanes(lanes.count), v, other); }

/// body(i, lanes) for i = 0, kWidth, 2 kWidth, ... < count.
template <class Body>
DDSC_INLINE void eachVector(std::int64_t count, const Body& body) {
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) body(i, AllLanes{});
  if (i < count) body(i, FirstLanes{count - i});
}

DDSC_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
DDSC_INLINE std::int64_t ceilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// body(first, last, worker) for rows 0 .. rows - 1 in parallel chunks of `chunk` rows.
template <class Body>
DDSC_INLINE void parallelChunks(Context& context, std::int64_t rows, std::int64_t chunk, const Body& body) {
  context.pool.parallel(ceilDivide(rows, chunk), [&](std::int64_t index, int worker) {
    body(index * chunk, smaller(rows, (index + 1) * chunk), worker);
  });
}

/// body(T{}) for T the element type.
template <class Body>
DDSC_INLINE void withElementType(DType type, const Body& body) {
  if (type == DType::f32) {
    body(float{});
  } else {
    body(bf16{});
  }
}

/// Rows first .. last - 1, all of one cell.
struct CellChunk {
  std::int64_t cell, first, last;
};

/// The rows of a ragged batch cut within cells into chunks of at most kCellChunkRows, long cells evenly. The
/// cuts follow from the offsets alone, so sums over them do not depend on the number of threads.
struct CellChunks {
  const CellChunk* chunk;
  std::int64_t count;
  float* sums;  // [count, sumWidth] scratch
  std::int64_t sumWidth;

  DDSC_INLINE float* sumsOf(std::int64_t index) const { return sums + index * sumWidth; }
};
inline constexpr std::int64_t kCellChunkRows = 64;

/// Cuts the cells of `offsets`, with scratch for `sumWidth` floats a chunk; uses the op's shared scratch.
DDSC_INLINE CellChunks cutCells(Context& context, Span<const std::int32_t> offsets, std::int64_t sumWidth) {
  const std::int64_t cells = offsets.size - 1;
  std::int64_t count = 0;
  for (std::int64_t cell = 0; cell < cells; ++cell)
    count += ceilDivide(offsets[cell + 1] - offsets[cell], kCellChunkRows);
  const std::int64_t listBytes = ceilDivide(count * static_cast<std::int64_t>(sizeof(CellChunk)), 64) * 64;
  const std::int64_t sumBytes = count * sumWidth * static_cast<std::int64_t>(sizeof(float));
  auto* memory = static_cast<char*>(context.scratch.shared(static_cast<std::size_t>(listBytes + sumBytes)));
  auto* chunk = reinterpret_cast<CellChunk*>(memory);
  std::int64_t next = 0;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    const std::int64_t first = offsets[cell], rows = offsets[cell + 1] - first;
    const std::int64_t parts = ceilDivide(rows, kCellChunkRows);
    for (std::int64_t part = 0; part < parts; ++part)
      chunk[next++] = {cell, first + rows * part / parts, first + rows * (part + 1) / parts};
  }
  return {chunk, count, reinterpret_cast<float*>(memory + listBytes), sumWidth};
}

}  // namespace ddsc::cpu::DDSC_ISA
