// Embedding: rank and gene rows are looked up and added in one sweep. The gradient adds each table row's
// gradients in the order the Grouping gives, eight warps taking every eighth row, and writes the row once.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

DDSC_KERNEL(kRowThreads)
embedRows(Global<const std::int32_t> tokens, Global<const std::int32_t> genes, View<const float> ranks,
          View<const float> geneTable, View<float> x) {
  const std::int64_t row = rowOfWarp();
  if (row >= x.rows.rows) return;
  const std::int64_t token = tokens[row], gene = genes[row];
  eachRun(x.rows.cols, [&](std::int64_t col, int count) {
    Run sum = ranks.load(token, col, count);
    const Run add = geneTable.load(gene, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) sum.value[i] += add.value[i];
    x.store(row, col, count, sum);
  });
}

struct Groups {
  Global<const std::int32_t> ids, starts, rows;
};

constexpr int kGroupCols = kWarpSize * kRun;

/// A block adds one group's columns blockIndex().y * 128 and on.
DDSC_KERNEL(kRowThreads) addGroups(View<const float> dx, Groups groups, View<float> table) {
  const Index block = blockIndex();
  const std::int64_t col = static_cast<std::int64_t>(block.y) * kGroupCols + laneIndex() * kRun;
  const std::int64_t left = dx.rows.cols - col;
  const int count = left >= kRun ? kRun : left > 0 ? static_cast<int>(left) : 0;
  SharedMemory memory;
  const Shared<float> sums = memory.take<float>(kWarpsPerBlock * kGroupCols);
  Run sum{};
  if (count > 0) {
    const std::int32_t end = groups.starts[block.x + 1];
    for (std::int32_t i = groups.starts[block.x] + warpIndex(); i < end; i += kWarpsPerBlock) {
      const Run add = dx.load(groups.rows[i], col, count);
#pragma unroll
      for (int j = 0; j < kRun; ++j) sum.value[j] += add.value[j];
    }
  }
  sums.store<kRun>(warpIndex() * kGroupCols + laneIndex() * kRun, sum);
  syncBlock();
  if (warpIndex() != 0 || count == 0) return;
  const std::int64_t id = groups.ids[block.x];
  Run total = table.load(id, col, count);
  for (int warp = 0; warp < kWarpsPerBlock; ++warp) {
    const Run part = sums.load<kRun>(warp * kGroupCols + laneIndex() * kRun);
#pragma unroll
    for (int j = 0; j < kRun; ++j) total.value[j] += part.value[j];
  }
  table.store(id, col, count, total);
}

void addGroupsOf(Context& context, const ConstMatrix& dx, const Grouping& grouping, const Matrix& table) {
  launch<addGroups>(context.stream, "embedGradient",
                    {.x = grouping.ids.size,
                     .y = ceilDivide(dx.cols, kGroupCols),
                     .threads = kRowThreads,
                     .sharedBytes = sizeof(float) * kWarpsPerBlock * kGroupCols},
                    viewOf<float>(dx),
                    Groups{globalOf(grouping.ids), globalOf(grouping.starts), globalOf(grouping.rows)},
                    viewOf<float>(table));
}

}  // namespace

void run(Context& context, const Embed& op) {
  launch<embedRows>(context.stream, "embed", warpPerRow(op.x.rows), globalOf(op.tokens), globalOf(op.genes),
                    viewOf<float>(op.rankTable), viewOf<float>(op.geneTable), viewOf<float>(op.x));
}

void run(Context& context, const EmbedGradient& op) {
  addGroupsOf(context, op.dx, op.byToken, op.dRankTable);
  addGroupsOf(context, op.dx, op.byGene, op.dGeneTable);
}

}  // namespace ddsc::cuda
