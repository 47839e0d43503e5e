// Memory as planned for models of counts, beside what the same calls allocate on the CPU.
#include "core/errors.h"
#include "model/memory_plan.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/recording_backend.h"
#include "test/native/model/small_model.h"

namespace ddsc::test {
namespace {

DenoiserConfig deeper(DenoiserConfig config) {
  config.blocks = 4;
  config.dropout = 0.1;
  return config;
}

constexpr BatchShape kShape{.cells = 5, .tokens = 300, .longest = 100, .masked = 170};

/// A model whose every allocation is written down, with a base.
Recorded recorded(const DenoiserConfig& config, DType type, bool trainable = true,
                  DeviceKind kind = DeviceKind::cpu) {
  Recorded one = recordedModel(config, type, trainable, 1, kind);
  const GeneBase base = geneBase(config);
  one.model->setBase(base.share, base.size);
  return one;
}

/// Cells of a shape, told of all or of little, with queries spread over them or not.
std::vector<CountLossInput> batches(const DenoiserConfig& config) {
  return {countBatchOf(kShape, config),
          countInput({{99, 0}, {0, 60}, {49, 0}, {10, 39}, {29, 9}}, config),
          countInput({{0, 99}, {0, 70}, {99, 0}, {0, 0}, {0, 1}}, config),
          countInput({{99, 0}}, config),
          countInput({{0, 0}}, config),
          countInput({{0, 1}}, config),
          countInput({}, config)};
}

DDSC_TEST("a plan names the bytes that training of a count model takes, exactly") {
  for (const DenoiserConfig& config : {deeper(countConfig()), deeper(plainCountConfig())}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      for (const Activations activations : {Activations::keep, Activations::recompute}) {
        const Workload workload{.batch = kShape, .activations = activations, .validation = true};
        const MemoryPlan plan = planMemory(config, type, workload, 1);
        const auto [model, recorder] = recorded(config, type);
        model->reserve(plan.workspace);
        CountLossInput input = countBatchOf(kShape, config);
        for (std::int64_t step = 1; step <= 2; ++step) {
          model->accumulate(input, 1.0, {}, activations);
          model->parameters().update(updateOptions(step));
        }
        input.source = WeightSource::ema;
        model->evaluate(input);
        checkEqual(recorder->peak, plan.parameters + plan.activations);
        // Other batches that are no larger in any way.
        const int before = recorder->allocations;
        for (const CountLossInput& other : batches(config)) model->accumulate(other, 1.0, {}, activations);
        checkEqual(recorder->allocations, before);
      }
    }
  }
}

DDSC_TEST("a plan for a GPU names the bytes of the batch of counts ahead, too") {
  const DenoiserConfig config = deeper(countConfig());
  for (const DType type : {DType::f32, DType::bf16}) {
    const Workload workload{.batch = kShape, .validation = true};
    const MemoryPlan plan = planMemory(config, type, workload, 1, DeviceKind::gpu);
    const auto [model, recorder] = recorded(config, type, true, DeviceKind::gpu);
    model->reserve(plan.workspace, plan.inputs);
    CountLossInput input = countBatchOf(kShape, config);
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
  }
}

DDSC_TEST("a plan names the bytes that prediction of counts takes, statistics and draws included, exactly") {
  for (const DenoiserConfig& config : {deeper(countConfig()), deeper(plainCountConfig())}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const Workload workload{.kind = Workload::Kind::prediction, .batch = kShape};
      const MemoryPlan plan = planMemory(config, type, workload, 1);
      const auto [model, recorder] = recorded(config, type, false);
      model->reserve(plan.workspace);
      const CountLossInput input = countBatchOf(kShape, config);
      const auto predict = [&](const CountLossInput& of) {
        const auto prediction = model->predictCounts(of.rows, WeightSource::weights);
        prediction->statistics(of.answers, true);
        prediction->draw(1, 2);
      };
      predict(input);
      checkEqual(recorder->peak, plan.parameters + plan.activations);
      for (const CountLossInput& other : batches(config)) predict(other);
      checkEqual(recorder->peak, plan.parameters + plan.activations);
    }
  }
}

DDSC_TEST("a shape of which not every cell has a row that is no query is refused") {
  checkThrows<Error>(
      [] {
        planMemory(countConfig(), DType::f32,
                   {.batch = {.cells = 5, .tokens = 30, .longest = 10, .masked = 26}}, 1);
      },
      "one row at least that is no query");
}

}  // namespace
}  // namespace ddsc::test
