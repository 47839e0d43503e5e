// Sinusoidal features of the noise level, in float64 as on the CPU: a few thousand values a step.

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

DDSC_KERNEL(kRowThreads) makeTimeFeatures(Global<const float> sigma, Rows<float> features) {
  const std::int64_t half = features.cols / 2;
  const std::int64_t i = threadOfGrid();
  if (i >= half * features.rows) return;
  const std::int64_t cell = i / half, at = i % half;
  const double rate = ::exp(-::log(10000.0) * static_cast<double>(at) / static_cast<double>(half));
  const double angle = static_cast<double>(sigma[cell]) * rate;
  features[cell][at] = static_cast<float>(::cos(angle));
  features[cell][half + at] = static_cast<float>(::sin(angle));
}

}  // namespace

void run(Context& context, const TimeFeatures& op) {
  launch<makeTimeFeatures>(
      context.stream, "timeFeatures",
      {.x = ceilDivide(op.features.rows * (op.features.cols / 2), kRowThreads), .threads = kRowThreads},
      globalOf(op.sigma), rowsOf<float>(op.features));
}

}  // namespace ddsc::cuda
