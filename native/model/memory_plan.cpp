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

void train(Model& model, const Workload& workload, const AnyLossInput& input) {
  const int batches = workload.severalBatches ? 2 : 1;
  StagedLoss staged = model.stage(input);
  for (int batch = 0; batch < batches; ++batch) {
    PendingLoss loss = model.start(std::move(staged), 1, {}, workload.activations);
    staged = model.stage(input);
    loss.finish();
  }
  model.parameters().update({});
  if (!workload.validation) return;
  AnyLossInput averaged = input;
  std::visit([](auto& given) { given.source = WeightSource::ema; }, averaged);
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

CountLossInput countBatchOf(const BatchShape& shape, const DenoiserConfig& config) {
  CountLossInput input;
  CountRows& rows = input.rows;
  rows.batch = batchOf(shape, config).batch;
  require(shape.tokens - shape.masked >= shape.cells, "ARGUMENT_RANGE",
          "every cell of counts has one row at least that is no query");
  const auto cells = static_cast<std::size_t>(shape.cells);
  // No two rows have one gene or value where there are enough: tables and groups are then as large as can be.
  std::int64_t queries = shape.masked, queryGene = 0, keyGene = shape.masked;
  for (std::size_t cell = 0; cell < cells; ++cell) {
    const std::int32_t first = rows.batch.offsets[cell], end = rows.batch.offsets[cell + 1];
    const std::int64_t own = std::min<std::int64_t>(queries, end - first - 1);
    queries -= own;
    rows.keys.push_back(static_cast<std::int32_t>(end - first - own));
    std::fill(rows.batch.tokens.begin() + end - own, rows.batch.tokens.begin() + end, config.maskToken());
    for (std::int32_t row = first; row < end; ++row) {
      const auto at = static_cast<std::size_t>(row);
      const bool isKey = row < end - own;
      if (isKey)
        rows.batch.tokens[at] =
            row == first ? 0 : static_cast<std::int32_t>(kFirstValue + keyGene % config.values());
      rows.batch.genes[at] =
          static_cast<std::int32_t>((isKey ? keyGene++ : queryGene++) % config.geneVocabSize);
    }
  }
  rows.hidden.assign(cells, 1);
  rows.measured.assign(cells, static_cast<std::int32_t>(config.geneVocabSize));
  for (std::vector<float>* told : {&rows.visibleTotal, &rows.visibleShare, &rows.total})
    told->assign(cells, 0);
  rows.depth.assign(cells, 1);
  rows.summary.assign(cells * static_cast<std::size_t>(config.summary), 0);
  for (std::size_t cell = 0; cell < cells; ++cell) {
    for (const std::int64_t labels : config.conditions) {
      if (labels == 0) rows.numbers.push_back(0);
      if (labels > 0)
        rows.labels.push_back(static_cast<std::int32_t>(1 + cell % static_cast<std::size_t>(labels)));
    }
  }
  input.answers.assign(static_cast<std::size_t>(shape.masked), 0);
  input.weight.assign(static_cast<std::size_t>(shape.masked), 1);
  return input;
}

MemoryPlan planMemory(const DenoiserConfig& config, DType compute, const Workload& workload, int threads,
                      DeviceKind kind) {
  auto counting = std::make_unique<CountingBackend>(kind, threads);
  const CountingBackend& backend = *counting;
  const bool training = workload.kind == Workload::Kind::training;
  const auto model = std::make_shared<Model>(std::move(counting), config, compute, training, workload.share);
  std::size_t results = 0;
  if (config.ofCounts()) {
    const std::vector<double> ones(static_cast<std::size_t>(config.geneVocabSize), 1.0);
    model->setBase(ones, ones);
    const CountLossInput input = countBatchOf(workload.batch, config);
    if (training) {
      train(*model, workload, input);
    } else {
      for (int call = 0; call < 2; ++call) {
        const auto prediction = model->predictCounts(input.rows, WeightSource::weights);
        prediction->draw(0, 0);
        results = prediction->bytes();
      }
    }
  } else {
    LossInput input = batchOf(workload.batch, config);
    if (training) {
      train(*model, workload, input);
    } else {
      input.batch.tokens = input.masking.noisy;
      for (int call = 0; call < 2; ++call)
        model->predict(input.batch, input.noise.conditioning, {}, true, WeightSource::weights);
      results = static_cast<std::size_t>(workload.batch.masked * config.vocabSize) * sizeof(float);
    }
  }
  MemoryPlan plan;
  plan.parameters = model->parameters().bytes() + model->baseBytes();
  plan.workspace = model->activationBytes();
  plan.inputs = model->inputBytes();
  plan.activations = plan.workspace + 2 * plan.inputs + model->denoiser().tableBytes() + results;
  plan.scratch = backend.scratchBytes();
  return plan;
}

}  // namespace ddsc
