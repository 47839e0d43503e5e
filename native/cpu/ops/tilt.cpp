// Tilts of rows, a product of two short vectors each, and their gradient: that of the cells' states by chunks
// of rows within cells, then over the chunks in order; that of the genes' factors in the order the Grouping
// gives.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 256;
constexpr std::int64_t kGenesPerTask = 64;

/// sum[i] += factor vector[i].
DDSC_INLINE void addScaled(float* sum, float factor, const float* vector, std::int64_t count) {
  eachVector(count, [&](std::int64_t i, auto lanes) {
    store(sum + i, fma(set1(factor), load(vector + i, lanes), load(sum + i, lanes)), lanes);
  });
}

void sumStates(Context& context, const TiltGradient& op) {
  const std::int64_t width = op.dstate.cols;
  const auto bytes = static_cast<std::size_t>(width) * sizeof(float);
  const CellChunks chunks = cutCells(context, op.rows.offsets, width);
  context.pool.parallel(chunks.count, [&](std::int64_t index, int) {
    const CellChunk& chunk = chunks.chunk[index];
    float* sums = chunks.sumsOf(index);
    __builtin_memset(sums, 0, bytes);
    for (std::int64_t row = chunk.first; row < chunk.last; ++row)
      addScaled(sums, op.dtilt[row], op.factor.row<float>(op.gene[row]), width);
  });
  std::int64_t chunk = 0;
  for (std::int64_t cell = 0; cell < op.rows.cells(); ++cell) {
    float* total = op.dstate.row<float>(cell);
    __builtin_memset(total, 0, bytes);
    for (; chunk < chunks.count && chunks.chunk[chunk].cell == cell; ++chunk)
      addScaled(total, 1, chunks.sumsOf(chunk), width);
  }
}

}  // namespace

void run(Context& context, const Tilt& op) {
  parallelChunks(context, op.gene.size, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t row = first; row < last; ++row) {
      const float* factor = op.factor.row<float>(op.gene[row]);
      const float* state = op.state.row<float>(op.cell[row]);
      F product = zero();
      eachVector(op.factor.cols, [&](std::int64_t i, auto lanes) {
        product = fma(load(factor + i, lanes), load(state + i, lanes), product);
      });
      op.tilt[row] = op.start ? op.start[op.gene[row]] + sum(product) : sum(product);
    }
  });
}

void run(Context& context, const TiltGradient& op) {
  sumStates(context, op);
  parallelChunks(context, op.byGene.ids.size, kGenesPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t group = first; group < last; ++group) {
      float* gradient = op.dfactor.row<float>(op.byGene.ids[group]);
      for (std::int64_t i = op.byGene.starts[group]; i < op.byGene.starts[group + 1]; ++i) {
        const std::int64_t row = op.byGene.rows[i];
        addScaled(gradient, op.dtilt[row], op.state.row<float>(op.rows.cell[row]), op.dfactor.cols);
      }
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
