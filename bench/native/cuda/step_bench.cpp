// Whole steps in bf16 on 64 cells of 1,024 tokens: training (masking, forward, loss with mean matching,
// backward, clipping, AdamW with moving average, the next batch made ready meanwhile), a forward pass for all
// tokens, and a sampling step (forward for the masked half, and draws). Of a model of counts, where half of a
// cell's rows are queries and all attend to the other half: training, and a prediction with draws of all
// queries. Operations: 6 a weight of the blocks and token in training, 2 in a forward pass, and attention's.
#include <cmath>
#include <memory>
#include <vector>

#include "bench/native/cuda/device.h"
#include "cuda/cuda_backend.h"
#include "model/model.h"
#include "ops/count_values.h"

namespace ddsc::bench {
namespace {

struct Preset {
  const char* name;
  std::int64_t hidden, blocks, heads;
};

const std::vector<Preset> presets = {{"tiny", 512, 8, 8}, {"small", 768, 12, 12}};
constexpr std::int64_t kCells = 64, kLength = 1024, kGenes = 20000;

LossInput batch(const DenoiserConfig& config) {
  LossInput input;
  CellBatch& cells = input.batch;
  cells.offsets.push_back(0);
  std::uint32_t state = 1;
  const auto below = [&state](std::int64_t bound) {
    state = state * 1664525u + 1013904223u;
    return static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(bound));
  };
  for (std::int64_t cell = 0; cell < kCells; ++cell) {
    for (std::int64_t i = 0; i < kLength; ++i) {
      cells.tokens.push_back(kFirstValue + below(config.maskToken() - kFirstValue));
      cells.genes.push_back(3 + below(kGenes - 3));
    }
    cells.offsets.push_back(static_cast<std::int32_t>(cells.tokens.size()));
    cells.cellIndex.push_back(static_cast<std::uint64_t>(cell));
    const double time = (static_cast<double>(cell) + 0.5) / kCells;
    input.masking.moveChance.push_back(time);
    input.noise.conditioning.push_back(0);
    input.noise.weight.push_back(static_cast<float>(1 / time));
    input.noise.sigma.push_back(static_cast<float>(-std::log1p(-time)));
    input.noise.time.push_back(static_cast<float>(time));
    input.noise.meanWeight.push_back(static_cast<float>(1 / time / 50));
  }
  return input;
}

/// The training step that gives `staged`, over and over: `next` is the batch that is made ready meanwhile.
template <class Next>
void measureTraining(const Context& context, Model& model, double flops, double scale, const Next& next) {
  StagedLoss staged = model.stage(next(0));
  std::int64_t step = 0;
  measureOnDevice(
      context, model.backend(), flops,
      [&] {
        ++step;
        PendingLoss loss = model.start(std::move(staged), scale, {1, static_cast<std::uint64_t>(step)});
        ParameterStore::PendingUpdate update =
            model.parameters().start({3e-4, 0.9, 0.999, 1e-8, 0, 0.9999, 1.0, step});
        staged = model.stage(next(static_cast<std::uint64_t>(step)));
        loss.finish();
        update.finish();
      },
      "train step");
}

void measurePreset(const Context& context, const Preset& preset) {
  DenoiserConfig config;
  config.geneVocabSize = kGenes;
  config.hidden = preset.hidden;
  config.blocks = preset.blocks;
  config.heads = preset.heads;
  const auto model = std::make_shared<Model>(cuda::makeCudaBackend(0), config, DType::bf16, true);
  model->parameters().initialise(1);
  Backend& backend = model->backend();
  const double tokens = kCells * kLength, hidden = static_cast<double>(preset.hidden),
               blocks = static_cast<double>(preset.blocks);
  const double forwardFlops =
      tokens * (2 * (12 * hidden * hidden * blocks + hidden * 54) + 4 * blocks * hidden * kLength);

  LossInput input = batch(config);
  measureTraining(context, *model, 3 * forwardFlops, 1 / tokens, [&](std::uint64_t step) -> const LossInput& {
    input.masking.step = step;
    return input;
  });

  CellBatch clean = input.batch;
  std::vector<std::int32_t> every(clean.tokens.size());
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::int32_t>(i);
  measureOnDevice(
      context, backend, forwardFlops,
      [&] { model->predict(clean, input.noise.conditioning, every, false, WeightSource::weights); },
      "forward");

  for (std::size_t i = 0; i < clean.tokens.size(); i += 2) clean.tokens[i] = config.maskToken();
  Prediction::DrawOptions options;
  options.reveal.assign(kCells, 0.5f);
  options.stay.assign(kCells, 0.5f);
  measureOnDevice(
      context, backend, 0,
      [&] {
        ++options.step;
        model->predict(clean, input.noise.conditioning, {}, true, WeightSource::weights)->draw(options);
      },
      "sampling step");
}

CountLossInput countBatch(const DenoiserConfig& config) {
  CountLossInput input;
  CountRows& rows = input.rows;
  CellBatch& cells = rows.batch;
  constexpr std::int64_t kKeys = kLength / 2;
  cells.offsets.push_back(0);
  for (std::int64_t cell = 0; cell < kCells; ++cell) {
    for (std::int64_t i = 0; i < kLength; ++i) {
      const bool isQuery = i >= kKeys;
      cells.tokens.push_back(i == 0    ? 0
                             : isQuery ? config.maskToken()
                                       : kFirstValue + 1 + static_cast<std::int32_t>(i % 5));
      cells.genes.push_back(static_cast<std::int32_t>(i == 0 ? 0 : 3 + (cell * 631 + i * 17) % (kGenes - 3)));
      if (isQuery) input.answers.push_back(static_cast<std::int32_t>(i % 4));
    }
    cells.offsets.push_back(static_cast<std::int32_t>(cells.tokens.size()));
    cells.cellIndex.push_back(static_cast<std::uint64_t>(cell));
  }
  rows.keys.assign(kCells, kKeys);
  rows.hidden.assign(kCells, kGenes / 2);
  rows.measured.assign(kCells, kGenes);
  rows.visibleTotal.assign(kCells, 1500);
  rows.visibleShare.assign(kCells, 0.5f);
  rows.total.assign(kCells, 3000);
  rows.depth.assign(kCells, 3000);
  rows.summary.assign(static_cast<std::size_t>(kCells * config.summary), 0.5f);
  input.weight.assign(input.answers.size(), 1);
  return input;
}

void measureCounts(const Context& context, const Preset& preset) {
  DenoiserConfig config;
  config.vocabSize = CountValues().values() + 3;
  config.geneVocabSize = kGenes;
  config.hidden = preset.hidden;
  config.blocks = preset.blocks;
  config.heads = preset.heads;
  config.timeConditioning = true;
  config.rotary = false;
  config.state = 32;
  config.summary = 35;
  config.learntSizes = config.sizesByState = true;
  const auto model = std::make_shared<Model>(cuda::makeCudaBackend(0), config, DType::bf16, true);
  model->parameters().initialise(1);
  model->setBase(std::vector<double>(kGenes, 1.0 / kGenes), std::vector<double>(kGenes, 2.0));
  constexpr std::int64_t queries = kCells * kLength / 2;
  const double rows = kCells * kLength, hidden = static_cast<double>(preset.hidden),
               blocks = static_cast<double>(preset.blocks);
  // Half of the rows are attended to, the others need neither key nor value.
  const double forwardFlops = rows * (2 * 12 * hidden * hidden * blocks + 2 * blocks * hidden * kLength) -
                              queries * (2 * 2 * hidden * hidden * blocks) + queries * 2 * hidden * 180;

  const CountLossInput input = countBatch(config);
  measureTraining(context, *model, 3 * forwardFlops, 1.0 / queries,
                  [&](std::uint64_t) -> const CountLossInput& { return input; });
  std::uint64_t step = 0;
  measureOnDevice(
      context, model->backend(), forwardFlops,
      [&] { model->predictCounts(input.rows, WeightSource::weights)->draw(1, ++step); },
      "prediction and draws");
}

const bool registered = [] {
  for (const Preset& preset : presets) {
    const Registration ranks(std::string(preset.name) + " 64 x 1024",
                             [&preset](const Context& context) { measurePreset(context, preset); });
    const Registration counts(std::string(preset.name) + " of counts 64 x 1024",
                              [&preset](const Context& context) { measureCounts(context, preset); });
  }
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
