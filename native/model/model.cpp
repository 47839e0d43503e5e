#include "model/model.h"

#include <algorithm>

#include "core/errors.h"

namespace ddsc {

Model::Model(std::unique_ptr<Backend> backend, const DenoiserConfig& config, DType compute, bool trainable,
             OptimizerShare share, Clearing clearing)
    : backend_(std::move(backend)),
      compute_(compute),
      denoiser_(*backend_, (check(config), config), compute),
      parameters_(*backend_, config, compute, trainable, share),
      countTables_(*backend_),
      workspace_(*backend_),
      slots_{InputSlot(*backend_), InputSlot(*backend_)} {
  if (clearing == Clearing::now) parameters_.clear();
}

void Model::reserve(std::size_t activationBytes, std::size_t inputBytes) {
  workspace_.reserve(activationBytes);
  workspace_.reset();
  for (InputSlot& slot : slots_) {
    slot.memory.reserve(inputBytes);
    if (slot.isTaken()) continue;  // takes it when it is staged in again
    slot.memory.reset();
    slot.used = backend_->mark();
  }
}

std::size_t Model::inputBytes() const {
  return std::max(slots_[0].memory.needed(), slots_[1].memory.needed());
}

DenoiserInput Model::prepare(const CellBatch& batch, const std::vector<std::int32_t>& noisy,
                             const std::vector<float>& conditioning, const std::vector<std::int32_t>& rows,
                             const HostRagged& whole, Workspace& workspace) {
  require(conditioning.size() == batch.cellIndex.size(), "BATCH_INVALID",
          "conditioning must have one entry a cell");
  const std::vector<float> still(conditioning.size(), 0.0f);
  DenoiserInput in;
  in.cells = whole.upload(workspace);
  in.pairs = pairs(whole, whole);
  in.tokens = workspace.upload(noisy);
  in.genes = workspace.upload(batch.genes);
  in.conditioning = workspace.upload(config().timeConditioning ? conditioning : still);
  in.selected = workspace.upload(rows);
  in.selectedCells = HostRagged(whole, rows).upload(workspace);
  in.cancelled = cancelled_;
  return in;
}

std::shared_ptr<Prediction> Model::predict(const CellBatch& batch, const std::vector<float>& conditioning,
                                           std::vector<std::int32_t> rows, bool allMasked,
                                           WeightSource source) {
  require(!config().ofCounts(), "MODEL_CONFIG", "this model is of counts: it takes rows of counts");
  check(batch, config());
  workspace_.reset();
  const HostRagged whole(batch);
  if (allMasked) {
    rows.clear();
    for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
      if (batch.tokens[i] == config().maskToken()) rows.push_back(static_cast<std::int32_t>(i));
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    require(rows[i] >= 0 && rows[i] < batch.rows() && (i == 0 || rows[i - 1] < rows[i]), "BATCH_INVALID",
            "rows must be token numbers of the batch, ascending");
  }
  auto prediction =
      std::make_shared<Prediction>(shared_from_this(), rows, HostRagged(whole, rows), batch.cells());
  if (rows.empty()) return prediction;
  const DenoiserInput in = prepare(batch, batch.tokens, conditioning, rows, whole, workspace_);
  parameters_.prepare(source);
  backend_->runAsOne([&] {
    const DenoiserActivations activations =
        denoiser_.forward(parameters_, source, in, Keep::nothing, workspace_);
    backend_->run(Convert{activations.logits, prediction->view()});
  });
  return prediction;
}

}  // namespace ddsc
