// Sinusoidal features of the noise level (Vaswani et al. 2017, as DiT uses them); the time embedding's layers
// are linear ops, whose backward folds in the SiLU.

#include <math.h>

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {

void run(Context& context, const TimeFeatures& op) {
  const std::int64_t half = op.features.cols / 2;
  parallelChunks(context, op.features.rows, 4, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double rate = ::exp(-::log(10000.0) * static_cast<double>(i) / static_cast<double>(half));
      for (std::int64_t cell = first; cell < last; ++cell) {
        const double angle = static_cast<double>(op.sigma[cell]) * rate;
        op.features.row<float>(cell)[i] = static_cast<float>(::cos(angle));
        op.features.row<float>(cell)[half + i] = static_cast<float>(::sin(angle));
      }
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
