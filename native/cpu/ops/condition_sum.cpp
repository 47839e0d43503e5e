// What cells are told, summed and bent in one sweep.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kCellsPerTask = 4;

}  // namespace

void run(Context& context, const ConditionSum& op) {
  const std::int64_t cells = op.pre.rows, terms = cells > 0 ? op.terms.size / cells : 0;
  parallelChunks(context, cells, kCellsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t cell = first; cell < last; ++cell) {
      const Span<const std::int32_t> own = op.terms.part(cell * terms, terms);
      float *pre = op.pre.row<float>(cell), *y = op.y.row<float>(cell);
      eachVector(op.pre.cols, [&](std::int64_t i, auto lanes) {
        F sum = zero();
        for (std::int64_t term = 0; term < terms; ++term) {
          const std::int64_t of = own[term];
          const float* row = of >= 0 ? op.numbers.row<float>(of) : op.labels.row<float>(-1 - of);
          sum = sum + load(row + i, lanes);
        }
        store(pre + i, sum, lanes);
        store(y + i, silu(sum), lanes);
      });
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
