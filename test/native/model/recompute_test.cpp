// Computing blocks again in backward, in place of keeping their activations.
#include "ops/profile.h"

#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// The gradient of a micro-batch.
std::vector<float> gradient(const DenoiserConfig& config, DType type, Activations activations) {
  const auto model = randomModel(config, type, 2);
  const LossInput input = lossInput(cells({9, 1, 23, 4, 70}, config));
  model->accumulate(input, 0.7, {9, 3}, activations);
  return buffer(*model, "gradient");
}

DDSC_TEST("blocks computed again give the same gradient to the last bit, dropout and time included") {
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const std::int64_t blocks : {1, 2, 3, 5}) {
      DenoiserConfig config = smallConfig();
      config.blocks = blocks;
      config.dropout = 0.3;
      config.timeConditioning = true;
      checkSameBits(gradient(config, type, Activations::recompute),
                    gradient(config, type, Activations::keep));
    }
  }
}

DDSC_TEST("blocks of a count model computed again give the same gradient to the last bit, dropout included") {
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const std::int64_t blocks : {1, 2, 3, 5}) {
      DenoiserConfig config = countConfig();
      config.blocks = blocks;
      config.dropout = 0.3;
      const CountLossInput input = countInput(fewUnlikeCells(), config);
      const auto gradientBy = [&](Activations activations) {
        const auto model = countModel(config, type, 2);
        model->accumulate(input, 0.7, {9, 3}, activations);
        return buffer(*model, "gradient");
      };
      checkSameBits(gradientBy(Activations::recompute), gradientBy(Activations::keep));
    }
  }
}

DDSC_TEST("only blocks whose activations were written over are computed again") {
  DenoiserConfig config = smallConfig();
  config.blocks = 5;
  auto backend = makeProfilingBackend(cpu::makeCpuBackend("", 1));
  ProfilingBackend* profiler = backend.get();
  const auto model = randomModel(std::move(backend), config);
  profiler->take();
  model->accumulate(lossInput(cells({9, 4}, config)), 1.0, {}, Activations::recompute);
  for (const OpProfile& row : profiler->take()) {
    // The last block has buffers of its own, and the one before it was the last to write the shared ones.
    if (row.op == "linear" && row.place == "qkv") checkEqual(row.calls, 5 + 3);
    if (row.op == "attention gradient") checkEqual(row.calls, 5);
    if (row.op == "gate" && row.place == "mlp") checkEqual(row.calls, 5);
  }
}

}  // namespace
}  // namespace ddsc::test
