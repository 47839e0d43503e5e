// What the CUDA backend promises beyond its ops.
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"

namespace ddsc::test {
namespace {

DDSC_TEST("the device's limits are measured") {
  const Limits limits = cuda::makeCudaBackend(0)->measureLimits();
  check(limits.floatFlops > 0 && limits.bf16Flops > 0 && limits.bytes > 0, "a limit is 0");
}

DDSC_TEST("a training run's losses and gradient norms follow those of the CPU: the same masks and dropout") {
  DenoiserConfig config = smallConfig();
  config.dropout = 0.2;
  const auto device = randomModel(cuda::makeCudaBackend(0), config);
  const auto cpu = randomModel(cpu::makeCpuBackend("", 1), config);
  LossInput input = lossInput(cells({40, 1, 33}, config));
  for (std::uint64_t step = 1; step <= 6; ++step) {
    input.masking.step = step;
    const LossSums sums = device->accumulate(input, 0.02, {8, step}),
                   expected = cpu->accumulate(input, 0.02, {8, step});
    checkEqual(sums.maskedTokens, expected.maskedTokens);
    checkClose(sums.loss, expected.loss, 1e-4 * expected.loss);
    const auto options = updateOptions(static_cast<std::int64_t>(step));
    const double norm = device->parameters().update(options).gradientNorm,
                 expectedNorm = cpu->parameters().update(options).gradientNorm;
    checkClose(norm, expectedNorm, 1e-3 * expectedNorm);
  }
}

}  // namespace
}  // namespace ddsc::test
