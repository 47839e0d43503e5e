#include "test/native/model/small_model.h"

#include <utility>

#include "test/native/support.h"

namespace ddsc::test {

DenoiserConfig smallConfig() {
  DenoiserConfig c;
  c.geneVocabSize = 40;
  c.hidden = 32;
  c.blocks = 2;
  c.heads = 2;
  c.condDim = 16;
  c.dropout = 0;
  return c;
}

std::shared_ptr<Model> randomModel(const DenoiserConfig& config, DType type, int threads) {
  return randomModel(backendUnderTest(threads), config, type);
}

std::shared_ptr<Model> randomModel(std::unique_ptr<Backend> backend, const DenoiserConfig& config,
                                   DType type) {
  auto model = std::make_shared<Model>(std::move(backend), config, type, true);
  model->parameters().initialise(7);
  std::uint32_t name = 100;
  for (const Parameter* p : model->parameters().layout().all()) {
    const std::vector<float> values = randomValues(name++, p->size(), p->start == Start::one ? 1.2f : 0.2f);
    model->parameters().write("weights", p->offset, {values.data(), p->size()});
  }
  return model;
}

CellBatch cells(const std::vector<std::int32_t>& lengths, const DenoiserConfig& config) {
  CellBatch batch;
  batch.offsets = {0};
  std::uint64_t index = 11;
  for (const std::int32_t length : lengths) {
    for (std::int32_t i = 0; i < length; ++i) {
      const auto position = static_cast<std::int32_t>(batch.tokens.size());
      batch.tokens.push_back(i == 0 ? 0 : 2 + position * 7 % (config.maskToken() - 2));
      batch.genes.push_back(i == 0 ? 1
                                   : 3 + position * 5 % static_cast<std::int32_t>(config.geneVocabSize - 3));
    }
    batch.offsets.push_back(static_cast<std::int32_t>(batch.tokens.size()));
    batch.cellIndex.push_back(index++);
  }
  return batch;
}

LossInput lossInput(const CellBatch& batch, double moveChance) {
  const std::size_t count = batch.cellIndex.size();
  LossInput input;
  input.batch = batch;
  input.masking.moveChance.assign(count, moveChance);
  input.masking.seed = 5;
  input.masking.step = 3;
  input.noise.conditioning.assign(count, 0.7f);
  input.noise.weight.assign(count, 1.5f);
  input.noise.sigma.assign(count, 0.7f);
  input.noise.time.assign(count, 0.5f);
  input.noise.meanWeight.assign(count, 0.02f);
  return input;
}

std::vector<float> buffer(Model& model, const char* name) {
  std::vector<float> values(static_cast<std::size_t>(model.parameters().layout().size));
  model.parameters().read(name, 0, {values.data(), static_cast<std::int64_t>(values.size())});
  return values;
}

ParameterStore::UpdateOptions updateOptions(std::int64_t step) {
  return {1e-2, 0.9, 0.999, 1e-8, 0.01, 0.9, 1.0, step};
}

}  // namespace ddsc::test
