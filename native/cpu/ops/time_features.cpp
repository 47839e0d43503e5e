// The time embedding's two small elementwise ops: sinusoidal features of the noise level (Vaswani et al.
// 2017, as DiT uses them) and the gradient of the SiLU on the conditioning vector.

#include <math.h>

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {

void timeFeatures(Context& context, const TimeFeatures& op) {
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

void siluGradient(Context& context, const SiluGradient& op) {
  parallelChunks(context, op.dx.rows, 16, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t row = first; row < last; ++row) {
      const float *dy = op.dy.row<float>(row), *x = op.x.row<float>(row);
      float* dx = op.dx.row<float>(row);
      eachVector(op.dx.cols, [&](std::int64_t i, auto lanes) {
        store(dx + i, load(dy + i, lanes) * siluDerivative(load(x + i, lanes)), lanes);
      });
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
