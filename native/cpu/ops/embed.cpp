// Embedding: rank and gene rows are looked up and added in one sweep; nothing else touches the tables. The
// gradient adds each table row's gradients in registers, in the order the Grouping gives, and writes the row
// once.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 64;
constexpr std::int64_t kIdsPerTask = 16;

/// Columns whose sums a task holds in registers.
constexpr std::int64_t kBlockVectors = 8;
constexpr std::int64_t kBlockColumns = kBlockVectors * kWidth;

/// dTable[id, first .. first + count) += sum over the group's rows of dx, count <= kBlockColumns.
void addGroup(const ConstMatrix& dx, const Grouping& grouping, std::int64_t group, std::int64_t first,
              std::int64_t count, const Matrix& dTable) {
  float* out = dTable.row<float>(grouping.ids[group]) + first;
  const std::int64_t begin = grouping.starts[group], end = grouping.starts[group + 1];
  if (count == kBlockColumns) {
    F sum[kBlockVectors];
    for (F& s : sum) s = zero();
    for (std::int64_t i = begin; i < end; ++i) {
      const float* row = dx.row<float>(grouping.rows[i]) + first;
      for (std::int64_t v = 0; v < kBlockVectors; ++v) sum[v] = sum[v] + load(row + v * kWidth);
    }
    for (std::int64_t v = 0; v < kBlockVectors; ++v) store(out + v * kWidth, load(out + v * kWidth) + sum[v]);
    return;
  }
  eachVector(count, [&](std::int64_t column, auto lanes) {
    F sum = zero();
    for (std::int64_t i = begin; i < end; ++i)
      sum = sum + load(dx.row<float>(grouping.rows[i]) + first + column, lanes);
    store(out + column, load(out + column, lanes) + sum, lanes);
  });
}

/// All columns of one group.
void addGroup(const ConstMatrix& dx, const Grouping& grouping, std::int64_t group, const Matrix& dTable) {
  for (std::int64_t first = 0; first < dx.cols; first += kBlockColumns)
    addGroup(dx, grouping, group, first, smaller(kBlockColumns, dx.cols - first), dTable);
}

}  // namespace

void run(Context& context, const Embed& op) {
  parallelChunks(context, op.x.rows, kRowsPerTask, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* rank = op.rankTable.row<float>(op.tokens[row]);
      const float* gene = op.geneTable.row<float>(op.genes[row]);
      float* x = op.x.row<float>(row);
      eachVector(op.x.cols, [&](std::int64_t column, auto lanes) {
        store(x + column, load(rank + column, lanes) + load(gene + column, lanes), lanes);
      });
    }
  });
}

void run(Context& context, const EmbedGradient& op) {
  // Few rank tokens have many rows each, the mask token most: a task is one block of columns of one token.
  // Genes have few rows each: a task is several genes.
  const std::int64_t columnBlocks = ceilDivide(op.dx.cols, kBlockColumns);
  const std::int64_t tokenTasks = op.byToken.ids.size * columnBlocks;
  const std::int64_t geneTasks = ceilDivide(op.byGene.ids.size, kIdsPerTask);
  context.pool.parallel(tokenTasks + geneTasks, [&](std::int64_t task, int) {
    if (task < tokenTasks) {
      const std::int64_t first = task % columnBlocks * kBlockColumns;
      const std::int64_t count = smaller(kBlockColumns, op.dx.cols - first);
      addGroup(op.dx, op.byToken, task / columnBlocks, first, count, op.dRankTable);
      return;
    }
    const std::int64_t begin = (task - tokenTasks) * kIdsPerTask;
    const std::int64_t end = smaller(op.byGene.ids.size, begin + kIdsPerTask);
    for (std::int64_t group = begin; group < end; ++group) addGroup(op.dx, op.byGene, group, op.dGeneTable);
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
