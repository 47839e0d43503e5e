// Rows of the sizes of genes, vectors of values at a time: a row is made in cache, then written once.

#include "cpu/ops/kernels.h"
#include "cpu/simd_double.h"
#include "cpu/sweep.h"
#include "ops/count_base.h"
#include "ops/count_table.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kGenesPerTask = 16;

/// A worker's room for rows, filled up to whole blocks with the last value's middle.
struct TableRow {
  std::int64_t padded, near;  // values in whole blocks; those of blocks that are not all far
  double *middle, *fixed, *table, *slope;

  DDSC_INLINE static std::size_t bytes(std::int64_t values) {
    return static_cast<std::size_t>(wholeBlocks(values)) * 4 * sizeof(double);
  }
  /// In `memory`, of bytes(values).
  DDSC_INLINE TableRow(void* memory, const CountTable& op) : padded(wholeBlocks(op.middle.size)), near(0) {
    middle = static_cast<double*>(memory);
    fixed = middle + padded;
    table = fixed + padded;
    slope = table + padded;
    const std::int64_t last = op.middle.size - 1;
    for (std::int64_t i = 0; i < padded; ++i) {
      middle[i] = op.middle[smaller(i, last)];
      fixed[i] = op.fixed[smaller(i, last)];
      if (middle[i] < kFarMiddle) near = wholeBlocks(i + 1);
    }
  }
};

template <bool withSlope>
DDSC_INLINE void write(const TableRow& row, std::int64_t i, const GammaDifference<D>& of) {
  storeDoubles(row.table + i, of.difference + loadDoubles(row.fixed + i));
  if constexpr (withSlope) storeDoubles(row.slope + i, of.slope);
}

template <bool withSlope>
void fillRow(const TableRow& memory, double size) {
  const SizeRow<D> of(allOf(size));
  eachDoubles(memory.near,
              [&](std::int64_t i) { write<withSlope>(memory, i, of.near(loadDoubles(memory.middle + i))); });
  eachDoubles(memory.padded - memory.near, [&](std::int64_t j) {
    const std::int64_t i = memory.near + j;
    write<withSlope>(memory, i, of.far(loadDoubles(memory.middle + i)));
  });
}

}  // namespace

void run(Context& context, const CountTable& op) {
  const std::int64_t values = op.middle.size;
  const auto bytes = static_cast<std::size_t>(values) * sizeof(double);
  parallelChunks(
      context, op.genes.size, kGenesPerTask, [&](std::int64_t first, std::int64_t last, int worker) {
        const TableRow memory(context.scratch.worker(worker, TableRow::bytes(values)), op);
        for (std::int64_t i = first; i < last; ++i) {
          const std::int64_t gene = op.genes[i];
          const float logSize = op.rowLogSize ? op.rowLogSize[i] : op.logSize ? op.logSize[gene] : 0;
          const double size = learntSize(op.size[gene], logSize);
          op.sizes[i] = size;
          if (op.slope) {
            fillRow<true>(memory, size);
            __builtin_memcpy(op.slope.data + i * values, memory.slope, bytes);
          } else {
            fillRow<false>(memory, size);
          }
          __builtin_memcpy(op.table.data + i * values, memory.table, bytes);
        }
      });
}

}  // namespace ddsc::cpu::DDSC_ISA
