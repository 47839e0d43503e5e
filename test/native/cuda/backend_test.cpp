// What the CUDA backend promises beyond its ops.
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"

namespace ddsc::test {
namespace {

DDSC_TEST("the device's limits are measured") {
  const Limits limits = cuda::makeCudaBackend(0)->measureLimits();
  check(limits.floatFlops > 0 && limits.bf16Flops > 0 && limits.bytes > 0, "a limit is 0");
}

/// Fails unless six steps give the same losses and gradient norms but for rounding. `inputAt` gives a step's
/// batch.
template <class InputAt>
void checkRunsAlike(Model& device, Model& cpu, const InputAt& inputAt) {
  for (std::uint64_t step = 1; step <= 6; ++step) {
    const AnyLossInput input = inputAt(step);
    const LossSums sums = device.accumulate(input, 0.02, {8, step}),
                   expected = cpu.accumulate(input, 0.02, {8, step});
    checkEqual(sums.maskedTokens, expected.maskedTokens);
    checkClose(sums.loss, expected.loss, 1e-4 * expected.loss);
    const auto options = updateOptions(static_cast<std::int64_t>(step));
    const double norm = device.parameters().update(options).gradientNorm,
                 expectedNorm = cpu.parameters().update(options).gradientNorm;
    checkClose(norm, expectedNorm, 1e-3 * expectedNorm);
  }
}

DDSC_TEST("a training run's losses and gradient norms follow those of the CPU: the same masks and dropout") {
  DenoiserConfig config = smallConfig();
  config.dropout = 0.2;
  const auto device = randomModel(cuda::makeCudaBackend(0), config);
  const auto cpu = randomModel(cpu::makeCpuBackend("", 1), config);
  LossInput input = lossInput(cells({40, 1, 33}, config));
  checkRunsAlike(*device, *cpu, [&](std::uint64_t step) {
    input.masking.step = step;
    return input;
  });
}

DDSC_TEST(
    "a training run on counts and its predictions follow those of the CPU: the same dropout and draws") {
  DenoiserConfig config = countConfig();
  config.dropout = 0.2;
  const auto device = countModel(cuda::makeCudaBackend(0), config);
  const auto cpu = countModel(cpu::makeCpuBackend("", 1), config);
  const CountLossInput input = countInput(unlikeCells(), config);
  checkRunsAlike(*device, *cpu, [&](std::uint64_t) { return input; });
  const auto prediction = device->predictCounts(input.rows, WeightSource::ema),
             expected = cpu->predictCounts(input.rows, WeightSource::ema);
  checkRelative(prediction->state(), expected->state(), 1e-4);
  checkRelative(prediction->statistics({}, true).logProbabilities,
                expected->statistics({}, true).logProbabilities, 1e-4);
  // A draw may fall on the other side of a border between two values.
  const std::vector<std::int32_t> drawn = prediction->draw(5, 2).values,
                                  expectedDraws = expected->draw(5, 2).values;
  int different = 0;
  for (std::size_t i = 0; i < drawn.size(); ++i) different += drawn[i] == expectedDraws[i] ? 0 : 1;
  check(different <= 1, "draws differ");
}

}  // namespace
}  // namespace ddsc::test
