// Rows of the sizes of genes, a warp a gene; float64.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"
#include "ops/count_base.h"
#include "ops/count_table.h"

namespace ddsc::cuda {
namespace {

struct TableInput {
  Global<const double> middle, fixed, size;
  Global<const float> logSize, rowLogSize;
  Global<const std::int32_t> genes;
};

struct TableOutput {
  Global<double> sizes, table, slope;
};

DDSC_KERNEL(kRowThreads) countTableOfGenes(TableInput in, TableOutput out) {
  const std::int64_t index = rowOfWarp();
  if (index >= in.genes.size) return;
  const std::int64_t gene = in.genes[index], values = in.middle.size;
  const float logSize = in.rowLogSize.data != nullptr ? in.rowLogSize[index]
                        : in.logSize.data != nullptr  ? in.logSize[gene]
                                                      : 0.0f;
  const double size = learntSize(in.size[gene], logSize);
  if (laneIndex() == 0) out.sizes[index] = size;
  const SizeRow<double> row(size);
  for (std::int64_t value = laneIndex(); value < values; value += kWarpSize) {
    const double middle = in.middle[value];
    const GammaDifference<double> of = middle < kFarMiddle ? row.near(middle) : row.far(middle);
    out.table[index * values + value] = of.difference + in.fixed[value];
    if (out.slope.data != nullptr) out.slope[index * values + value] = of.slope;
  }
}

}  // namespace

void run(Context& context, const CountTable& op) {
  launch<countTableOfGenes>(context.stream, "countTable", warpPerRow(op.genes.size),
                            TableInput{globalOf(op.middle), globalOf(op.fixed), globalOf(op.size),
                                       globalOf(op.logSize), globalOf(op.rowLogSize), globalOf(op.genes)},
                            TableOutput{globalOf(op.sizes), globalOf(op.table), globalOf(op.slope)});
}

}  // namespace ddsc::cuda
