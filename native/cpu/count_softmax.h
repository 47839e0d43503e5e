#pragma once
// Softmax over the values of counts, logits plus the base of CountBase, in float64: the common first step of
// the count ops. For files of cpu/ops/ only (compiled once per instruction set).

#include "cpu/simd_double.h"
#include "cpu/sweep.h"
#include "ops/count_base.h"

namespace ddsc::cpu::DDSC_ISA {

/// A worker's room for rows: each array is filled up to whole blocks, with x of -inf and so e of 0.
struct CountRow {
  std::int64_t padded;     // values, in whole blocks
  double *middle, *x, *e;  // [padded]
  float* single;           // [padded]

  DDSC_INLINE static std::size_t bytes(std::int64_t values) {
    return static_cast<std::size_t>(wholeBlocks(values)) * (3 * sizeof(double) + sizeof(float));
  }
  /// In `memory`, of bytes(values).
  DDSC_INLINE CountRow(void* memory, const CountBase& base) : padded(wholeBlocks(base.middle.size)) {
    middle = static_cast<double*>(memory);
    x = middle + padded;
    e = x + padded;
    single = reinterpret_cast<float*>(e + padded);
    for (std::int64_t i = 0; i < padded; ++i) middle[i] = i < base.middle.size ? base.middle[i] : 0;
  }
};

DDSC_INLINE RowBase baseOf(const CountBase& base, std::int64_t row) {
  return rowBase(static_cast<double>(base.tilt[row]), base.depth[base.cell[row]] * base.share[base.gene[row]],
                 base.sizes[base.place[row]]);
}

/// Where a row of base.table or base.slope begins.
DDSC_INLINE const double* ofPlace(const Span<const double>& table, const CountBase& base, std::int64_t row) {
  return table.data + static_cast<std::int64_t>(base.place[row]) * base.middle.size;
}

/// Asks for what a row that is worked on next reads: genes come in no order that the processor could guess.
DDSC_INLINE void prefetchTables(const CountBase& base, std::int64_t row) {
  constexpr std::int64_t kLine = 64 / sizeof(double);
  const std::int64_t count = base.middle.size;
  const double* table = ofPlace(base.table, base, row);
  for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(table + i);
  if (!base.slope) return;
  const double* slope = ofPlace(base.slope, base, row);
  for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(slope + i);
}

/// body(row, memory) for each row of a base, in parallel.
template <class Body>
DDSC_INLINE void eachCountRow(Context& context, const CountBase& base, const Body& body) {
  constexpr std::int64_t kRowsPerTask = 32;
  parallelChunks(
      context, base.gene.size, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int worker) {
        const CountRow memory(context.scratch.worker(worker, CountRow::bytes(base.middle.size)), base);
        for (std::int64_t row = first; row < last; ++row) {
          if (row + 1 < last) prefetchTables(base, row + 1);
          body(row, memory);
        }
      });
}

/// Fills x and e of a row, whose values have these logits; e of the most probable value is 1.
DDSC_INLINE CountSums countSums(const CountBase& base, const RowBase& of, const float* logits,
                                std::int64_t row, const CountRow& out) {
  const std::int64_t count = base.middle.size, whole = count / kBlock * kBlock;
  const double* table = ofPlace(base.table, base, row);
  double *x = out.x, *e = out.e;
  const D perRow = allOf(of.perRow), perCount = allOf(of.perCount);
  eachDoubles(whole, [&](std::int64_t i) {
    const D ofBase = loadDoubles(table + i) - perRow - loadDoubles(out.middle + i) * perCount;
    storeDoubles(x + i, loadDoubles(logits + i) + ofBase);
  });
  for (std::int64_t i = whole; i < out.padded; ++i)
    x[i] = i < count ? static_cast<double>(logits[i]) + of.at(table[i], out.middle[i]) : -__builtin_inf();

  const double maximum = largestOf(x, out.padded);
  std::int64_t best = 0;
  while (best + 1 < count && !(x[best] >= maximum)) ++best;
  const D highest = allOf(maximum);
  eachDoubles(out.padded,
              [&](std::int64_t i) { storeDoubles(e + i, exponential(loadDoubles(x + i) - highest)); });
  e[best] *= 0;  // NaN stays
  const double rest = sumOfDoubles(out.padded, [e](std::int64_t i) { return loadDoubles(e + i); });
  e[best] = 1;
  return {maximum, best, rest};
}

}  // namespace ddsc::cpu::DDSC_ISA
