#include "model/memory_plan.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "core/errors.h"
#include "ops/counting.h"

namespace ddsc {

namespace {

void checkShape(const BatchShape& shape) {
  const auto [cells, tokens, longest, masked] = shape;
  const bool fits = cells >= 1 && tokens >= 1 && tokens <= std::numeric_limits<std::int32_t>::max() &&
                    longest >= 1 && longest <= tokens && masked >= 1 && masked <= tokens;
  // All cells are at most as long as the longest.
  require(fits && tokens - longest <= (cells - 1) * longest, "ARGUMENT_RANGE",
          "no batch has so many cells, tokens, tokens of its longest cell and masked tokens");
}

void train(Model& model, const Workload& workload, const LossInput& input) {
  const int batches = workload.severalBatches ? 2 : 1;
  StagedLoss staged = model.stage(input);
  for (int batch = 0; batch < batches; ++batch) {
    PendingLoss loss = model.start(std::move(staged), 1, {}, workload.activations);
    staged = model.stage(input);
    loss.finish();
  }
  model.parameters().update({});
  if (!workload.validation) return;
  LossInput averaged = input;
  averaged.source = WeightSource::ema;
  for (int batch = 0; batch < 2; ++batch) model.evaluate(averaged);
}

}  // namespace

LossInput batchOf(const BatchShape& shape, const DenoiserConfig& config) {
  checkShape(shape);
  LossInput input;
  CellBatch& batch = input.batch;
  const auto cells = static_cast<std::size_t>(shape.cells);
  std::int64_t end = 0, left = shape.tokens;
  batch.offsets.push_back(0);
  for (std::int64_t cell = 0; cell < shape.cells; ++cell) {
    const std::int64_t length =
        cell == 0 ? shape.longest : (left + shape.cells - cell - 1) / (shape.cells - cell);
    end += length;
    left -= length;
    batch.offsets.push_back(static_cast<std::int32_t>(end));
    batch.cellIndex.push_back(static_cast<std::uint64_t>(cell));
  }
  const std::int64_t ranks = config.maskToken() - kFirstValue;
  for (std::int64_t i = 0; i < shape.tokens; ++i) {
    batch.genes.push_back(static_cast<std::int32_t>(i % config.geneVocabSize));
    batch.tokens.push_back(static_cast<std::int32_t>(kFirstValue + i % ranks));
  }
  input.masking.noisy = batch.tokens;
  std::fill_n(input.masking.noisy.begin(), shape.masked, config.maskToken());
  input.noise.conditioning.assign(cells, 0);
  for (std::vector<float>* values :
       {&input.noise.weight, &input.noise.sigma, &input.noise.time, &input.noise.meanWeight})
    values->assign(cells, 1);
  return input;
}

MemoryPlan planMemory(const DenoiserConfig& config, DType compute, const Workload& workload, int threads,
                      DeviceKind kind) {
  auto counting = std::make_unique<CountingBackend>(kind, threads);
  const CountingBackend& backend = *counting;
  const bool training = workload.kind == Workload::Kind::training;
  const auto model = std::make_shared<Model>(std::move(counting), config, compute, training);
  LossInput input = batchOf(workload.batch, config);
  std::size_t results = 0;
  if (training) {
    train(*model, workload, input);
  } else {
    input.batch.tokens = input.masking.noisy;
    for (int call = 0; call < 2; ++call)
      model->predict(input.batch, input.noise.conditioning, {}, true, WeightSource::weights);
    results = static_cast<std::size_t>(workload.batch.masked * config.vocabSize) * sizeof(float);
  }
  MemoryPlan plan;
  plan.parameters = model->parameters().bytes();
  plan.workspace = model->activationBytes();
  plan.inputs = model->inputBytes();
  plan.activations = plan.workspace + 2 * plan.inputs + model->denoiser().tableBytes() + results;
  plan.scratch = backend.scratchBytes();
  return plan;
}

}  // namespace ddsc
