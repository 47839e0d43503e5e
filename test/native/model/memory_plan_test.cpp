// Memory as planned, beside what the same calls allocate on the CPU.
#include "model/memory_plan.h"

#include "core/errors.h"
#include "test/native/harness.h"
#include "test/native/model/recording_backend.h"
#include "test/native/model/small_model.h"

namespace ddsc::test {
namespace {

DenoiserConfig deeperConfig() {
  DenoiserConfig config = smallConfig();
  config.blocks = 4;
  config.dropout = 0.1;
  return config;
}

constexpr BatchShape kShape{.cells = 5, .tokens = 300, .longest = 100, .masked = 170};

DDSC_TEST("a plan names the bytes that training takes, exactly") {
  const DenoiserConfig config = deeperConfig();
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const Activations activations : {Activations::keep, Activations::recompute}) {
      Workload workload{.batch = kShape, .activations = activations, .validation = true};
      const MemoryPlan plan = planMemory(config, type, workload, 1);
      const auto [model, recorder] = recordedModel(config, type);
      model->reserve(plan.workspace);
      LossInput input = batchOf(kShape, config);
      for (std::int64_t step = 1; step <= 2; ++step) {
        model->accumulate(input, 1.0, {}, activations);
        model->parameters().update(updateOptions(step));
      }
      input.source = WeightSource::ema;
      model->evaluate(input);
      checkEqual(recorder->peak, plan.parameters + plan.activations);
    }
  }
}

DDSC_TEST(
    "a plan for a GPU names the bytes of the batch ahead, too, and nothing is allocated once they are "
    "taken") {
  const DenoiserConfig config = deeperConfig();
  for (const DType type : {DType::f32, DType::bf16}) {
    const Workload workload{.batch = kShape, .validation = true};
    const MemoryPlan plan = planMemory(config, type, workload, 1, DeviceKind::gpu);
    checkEqual(planMemory(config, type, workload, 1).inputs, std::size_t{0});
    const auto [model, recorder] = recordedModel(config, type, true, 1, DeviceKind::gpu);
    model->reserve(plan.workspace, plan.inputs);
    const int reserved = recorder->allocations;
    LossInput input = batchOf(kShape, config);
    StagedLoss staged = model->stage(input);
    for (std::int64_t step = 1; step <= 3; ++step) {
      PendingLoss loss = model->start(std::move(staged), 1.0, {});
      staged = model->stage(input);
      loss.finish();
      model->parameters().update(updateOptions(step));
    }
    input.source = WeightSource::ema;
    model->evaluate(input);
    checkEqual(recorder->peak, plan.parameters + plan.activations);
    // The rotary table is made in the first step, the average's compute copy when it is first evaluated.
    checkEqual(recorder->allocations, reserved + (type == DType::bf16 ? 3 : 2));
  }
}

DDSC_TEST("a plan names the bytes that prediction takes, exactly") {
  const DenoiserConfig config = deeperConfig();
  for (const DType type : {DType::f32, DType::bf16}) {
    const Workload workload{.kind = Workload::Kind::prediction, .batch = kShape};
    const MemoryPlan plan = planMemory(config, type, workload, 1);
    const auto [model, recorder] = recordedModel(config, type, false);
    model->reserve(plan.workspace);
    LossInput input = batchOf(kShape, config);
    input.batch.tokens = input.masking.noisy;
    model->predict(input.batch, input.noise.conditioning, {}, true, WeightSource::weights);
    checkEqual(recorder->peak, plan.parameters + plan.activations);
  }
}

DDSC_TEST("nothing is allocated for smaller batches once the largest was reserved") {
  const DenoiserConfig config = deeperConfig();
  const MemoryPlan plan = planMemory(config, DType::f32, {.batch = kShape, .validation = true}, 1);
  const auto [model, recorder] = recordedModel(config, DType::f32);
  model->reserve(plan.workspace);
  model->accumulate(batchOf({.cells = 2, .tokens = 110, .longest = 100, .masked = 9}, config), 1.0, {});
  const int before = recorder->allocations;
  for (const BatchShape& shape : {BatchShape{4, 280, 90, 170}, BatchShape{5, 300, 100, 20},
                                  BatchShape{5, 300, 60, 170}, BatchShape{1, 7, 7, 1}, kShape})
    model->accumulate(batchOf(shape, config), 1.0, {});
  checkEqual(recorder->allocations, before);
}

DDSC_TEST(
    "without a reservation a call's memory is one piece, exactly large enough, from the second call on") {
  const DenoiserConfig config = deeperConfig();
  const auto [model, recorder] = recordedModel(config, DType::f32);
  const LossInput input = batchOf({.cells = 40, .tokens = 4000, .longest = 100, .masked = 2000}, config);
  for (int call = 0; call < 2; ++call) model->accumulate(input, 1.0, {});
  const int before = recorder->allocations;
  model->accumulate(input, 1.0, {});
  checkEqual(recorder->allocations, before);
  check(model->activationBytes() > std::size_t{10} << 20, "the call is too small to take several pieces");
}

DDSC_TEST("recomputation saves all but the input of every block but the first and the last") {
  DenoiserConfig config = deeperConfig();
  const BatchShape shape{.cells = 4, .tokens = 256, .longest = 64, .masked = 128};
  const auto activations = [&](Activations mode) {
    return planMemory(config, DType::f32, {.batch = shape, .activations = mode}, 1).activations;
  };
  // Floats a token: both norms, attention's output and its projection, the residual stream in the middle and
  // the MLP's output; q, k and v; twice the MLP's inside; means, deviations and log-sum-exps.
  const std::int64_t d = config.hidden, perToken = 6 * d + 3 * d + 2 * 4 * d + 4 + config.heads;
  checkEqual(activations(Activations::keep) - activations(Activations::recompute),
             static_cast<std::size_t>((config.blocks - 2) * shape.tokens * perToken) * sizeof(float));
}

DDSC_TEST("blocks that are computed again make no packed copies of their weights") {
  const DenoiserConfig config = deeperConfig();
  const auto scratch = [&](Activations mode, bool severalBatches) {
    return planMemory(config, DType::f32,
                      {.batch = kShape, .activations = mode, .severalBatches = severalBatches}, 1)
        .scratch;
  };
  checkEqual(scratch(Activations::recompute, false), scratch(Activations::keep, false));
  check(scratch(Activations::recompute, true) < scratch(Activations::keep, true),
        "copies of several batches");
}

DDSC_TEST("the scratch of a plan is enough for what the CPU's ops hold, and not far from it") {
  DenoiserConfig config = smallConfig();
  config.hidden = 256;
  config.heads = 4;
  for (const DType type : {DType::f32, DType::bf16}) {
    for (const int threads : {1, 3}) {
      const Workload workload{.batch = {.cells = 4, .tokens = 1024, .longest = 256, .masked = 512},
                              .severalBatches = true,
                              .validation = true};
      const MemoryPlan plan = planMemory(config, type, workload, threads);
      const auto [model, recorder] = recordedModel(config, type, true, threads);
      model->parameters().initialise(1);
      LossInput input = batchOf(workload.batch, config);
      for (int batch = 0; batch < 2; ++batch) model->accumulate(input, 1.0, {});
      std::size_t held = recorder->scratchBytes();
      model->parameters().update(updateOptions(1));
      input.source = WeightSource::ema;
      for (int batch = 0; batch < 2; ++batch) model->evaluate(input);
      held = std::max(held, recorder->scratchBytes());
      check(held <= plan.scratch,
            "held " + std::to_string(held) + ", planned " + std::to_string(plan.scratch));
      // Kept weights of bf16 are counted as float32, which is what some instruction sets make of them.
      const std::size_t most = held + (plan.parameters + plan.activations) / (type == DType::f32 ? 10 : 5);
      check(plan.scratch < most,
            "held " + std::to_string(held) + ", planned " + std::to_string(plan.scratch));
    }
  }
}

DDSC_TEST("a shape that no batch has is refused") {
  const DenoiserConfig config = smallConfig();
  for (const BatchShape& shape : {BatchShape{0, 5, 5, 1}, BatchShape{2, 5, 2, 1}, BatchShape{2, 5, 6, 1},
                                  BatchShape{2, 5, 4, 0}, BatchShape{2, 5, 4, 6}})
    checkThrows<Error>([&] { planMemory(config, DType::f32, {.batch = shape}, 1); }, "no batch has so many");
}

}  // namespace
}  // namespace ddsc::test
