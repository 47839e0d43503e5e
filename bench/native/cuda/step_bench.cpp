// Whole steps in bf16 on 64 cells of 1,024 tokens: training (masking, forward, loss with mean matching,
// backward, clipping, AdamW with moving average, the next batch made ready meanwhile), a forward pass for all
// tokens, and a sampling step (forward for the masked half, and draws). Operations: 6 a weight of the blocks
// and token in training, 2 in a forward pass, and attention's.
#include <cmath>
#include <memory>
#include <vector>

#include "bench/native/cuda/device.h"
#include "cuda/cuda_backend.h"
#include "model/model.h"

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
  StagedLoss staged = model->stage(input);
  std::int64_t step = 0;
  measureOnDevice(
      context, backend, 3 * forwardFlops,
      [&] {
        ++step;
        PendingLoss loss = model->start(std::move(staged), 1 / tokens, {1, static_cast<std::uint64_t>(step)});
        ParameterStore::PendingUpdate update =
            model->parameters().start({3e-4, 0.9, 0.999, 1e-8, 0, 0.9999, 1.0, step});
        input.masking.step = static_cast<std::uint64_t>(step);
        staged = model->stage(input);
        loss.finish();
        update.finish();
      },
      "train step");

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

const bool registered = [] {
  for (const Preset& preset : presets)
    const Registration registration(std::string(preset.name) + " 64 x 1024",
                                    [&preset](const Context& context) { measurePreset(context, preset); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
