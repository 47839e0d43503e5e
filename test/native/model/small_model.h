/// A model small enough for any test, and batches for it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/model.h"

namespace ddsc::test {

/// Two blocks, 32 wide, two heads; 40 genes; no dropout.
DenoiserConfig smallConfig();

/// A model on the backend under test whose zero-initialised layers are random too, or no gradient would reach
/// the rest.
std::shared_ptr<Model> randomModel(const DenoiserConfig& config, DType type = DType::f32, int threads = 1);
/// The same on a given backend.
std::shared_ptr<Model> randomModel(std::unique_ptr<Backend> backend, const DenoiserConfig& config,
                                   DType type = DType::f32);

/// Cells of these lengths, the first token of each special, with many different genes and ranks.
CellBatch cells(const std::vector<std::int32_t>& lengths, const DenoiserConfig& config);

/// The batch with drawn masks, and with mean matching.
LossInput lossInput(const CellBatch& batch, double moveChance = 0.5);

/// All of one of a model's flat buffers.
std::vector<float> buffer(Model& model, const char* name);

/// Options of an optimizer step that moves weights visibly.
ParameterStore::UpdateOptions updateOptions(std::int64_t step);

}  // namespace ddsc::test
