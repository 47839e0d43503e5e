// Guidance: what a network says with conditions is moved away from what it says without, in one sweep.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 64;

}  // namespace

void run(Context& context, const Guide& op) {
  const F gamma = set1(op.gamma);
  parallelChunks(context, op.y.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t row = first; row < last; ++row) {
      const float* null = op.null.row<float>(row);
      float* y = op.y.row<float>(row);
      eachVector(op.y.cols, [&](std::int64_t i, auto lanes) {
        const F without = load(null + i, lanes);
        store(y + i, without + gamma * (load(y + i, lanes) - without), lanes);
      });
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
