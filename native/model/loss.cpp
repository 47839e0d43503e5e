// Losses: a batch is made ready on the host, the device does everything, and the host adds up what comes
// back.
#include "model/loss.h"

#include <utility>

#include "core/errors.h"
#include "model/model.h"
#include "ops/masking.h"

namespace ddsc {

namespace {

/// The rows' elements of a host vector.
std::vector<std::int32_t> pick(const std::vector<std::int32_t>& values,
                               const std::vector<std::int32_t>& rows) {
  std::vector<std::int32_t> picked;
  picked.reserve(rows.size());
  for (const std::int32_t row : rows) picked.push_back(values[static_cast<std::size_t>(row)]);
  return picked;
}

/// xt of a call: as given, or drawn.
std::vector<std::int32_t> noisyTokens(const LossInput& input, const HostRagged& whole,
                                      const DenoiserConfig& config) {
  const Masking& m = input.masking;
  const std::vector<std::int32_t>& clean = input.batch.tokens;
  if (!m.noisy.empty()) {
    require(m.noisy.size() == clean.size(), "BATCH_INVALID",
            "the noisy tokens must be as many as the tokens");
    return m.noisy;
  }
  require(m.moveChance.size() == input.batch.cellIndex.size(), "BATCH_INVALID",
          "moveChance must have one entry a cell");
  std::vector<std::int32_t> noisy(clean.size());
  MaskNoise op;
  op.tokens = {clean.data(), input.batch.rows()};
  op.cells = whole.view();
  op.moveChance = {m.moveChance.data(), input.batch.cells()};
  op.seed = m.seed;
  op.step = m.step;
  op.firstValue = kFirstValue;
  op.mask = config.maskToken();
  op.noisy = {noisy.data(), input.batch.rows()};
  run(op);
  return noisy;
}

void checkNoise(const LossInput& input) {
  const auto cells = static_cast<std::size_t>(input.batch.cells());
  const HostNoise& n = input.noise;
  for (const std::vector<float>* values : {&n.conditioning, &n.weight, &n.sigma, &n.time}) {
    require(values->size() == cells, "BATCH_INVALID", "each noise array must have one entry a cell");
  }
  require(n.meanWeight.empty() || n.meanWeight.size() == cells, "BATCH_INVALID",
          "meanWeight must have one entry a cell");
}

}  // namespace

PendingLoss::PendingLoss(Backend& backend, StagedLoss&& staged)
    : sums_(std::move(staged.sums)),
      target_(std::move(staged.target)),
      rowCell_(std::move(staged.rowCell)),
      downloads_(backend) {}

LossSums PendingLoss::finish() {
  downloads_.wait();
  for (std::size_t i = 0; i < rowLoss_.size(); ++i) {
    sums_.loss += static_cast<double>(rowLoss_[i]);
    sums_.crossEntropy -= static_cast<double>(logProbability_[i]);
    if (!rowMeanLoss_.empty()) sums_.meanLoss += static_cast<double>(rowMeanLoss_[i]);
    if (!best_.empty() && best_[i] == target_[i]) ++sums_.correct;
    sums_.cellLoss[static_cast<std::size_t>(rowCell_[i])] += static_cast<double>(rowLoss_[i]);
  }
  return std::move(sums_);
}

void Model::requireTrainable(const AnyLossInput& input) const {
  const WeightSource source = std::visit([](const auto& given) { return given.source; }, input);
  require(parameters_.trainable(), "MODEL_BUFFER",
          "this model was opened for inference; open it with trainable: true");
  require(source == WeightSource::weights, "MODEL_BUFFER", "the moving average is not trained");
}

LossSums Model::accumulate(const AnyLossInput& input, double gradientScale, const DropoutStream& dropout,
                           Activations activations) {
  requireTrainable(input);
  workspace_.reset();
  return start(stageIn(workspace_, input, true), gradientScale, dropout, activations).finish();
}

LossSums Model::evaluate(const AnyLossInput& input) {
  workspace_.reset();
  return computeLoss(stageIn(workspace_, input, false), Keep::nothing, 0, {}).finish();
}

StagedLoss Model::stage(AnyLossInput input) {
  requireTrainable(input);
  if (backend_->kind() != DeviceKind::gpu) {
    StagedLoss staged;
    staged.input = std::move(input);
    return staged;
  }
  // Not the slot of the batch that the device works on, if it can be helped: the copy would wait for it.
  if (slots_[nextSlot_].isTaken()) nextSlot_ ^= 1;
  InputSlot& slot = slots_[nextSlot_];
  require(!slot.isTaken(), "MODEL_BUFFER", "two batches are staged already; start one of them or give it up");
  slot.memory.freeAfter(slot.used ? *slot.used : backend_->mark());
  slot.memory.reset();
  StagedLoss staged = stageIn(slot.memory, input, true);
  staged.slot = &slot;
  staged.hold = std::make_shared<char>();
  slot.holder = staged.hold;
  nextSlot_ ^= 1;
  return staged;
}

StagedLoss Model::stageIn(Workspace& memory, const AnyLossInput& input, bool train) {
  if (const auto* counts = std::get_if<CountLossInput>(&input)) return stageCounts(memory, *counts, train);
  return stageRanks(memory, std::get<LossInput>(input), train);
}

StagedLoss Model::stageRanks(Workspace& memory, const LossInput& input, bool train) {
  require(!config().ofCounts(), "MODEL_CONFIG", "this model is of counts: it takes rows of counts");
  check(input.batch, config());
  checkNoise(input);
  const HostRagged whole(input.batch);
  const std::vector<std::int32_t> noisy = noisyTokens(input, whole, config());

  StagedLoss staged;
  LossSums& sums = staged.sums;
  sums.cellLoss.assign(input.batch.cellIndex.size(), 0.0);
  std::vector<std::int32_t> rows;
  for (std::size_t i = 0; i < noisy.size(); ++i) {
    if (input.batch.tokens[i] < kFirstValue) continue;
    ++sums.validTokens;
    if (noisy[i] == config().maskToken()) rows.push_back(static_cast<std::int32_t>(i));
  }
  sums.maskedTokens = static_cast<std::int64_t>(rows.size());
  if (rows.empty()) return staged;

  staged.source = input.source;
  staged.denoiser = prepare(input.batch, noisy, input.noise.conditioning, rows, whole, memory);
  staged.target = pick(input.batch.tokens, rows);
  const Ragged ragged = whole.view();
  for (const std::int32_t row : rows) staged.rowCell.push_back(ragged.cell[row]);
  DiffusionLoss& loss = staged.loss;
  loss.objective = input.objective;
  loss.target = memory.upload(staged.target);
  loss.cell = staged.denoiser.selectedCells.cell;
  loss.noise.weight = memory.upload(input.noise.weight);
  loss.noise.sigma = memory.upload(input.noise.sigma);
  loss.noise.time = memory.upload(input.noise.time);
  if (!input.noise.meanWeight.empty()) loss.noise.meanWeight = memory.upload(input.noise.meanWeight);
  loss.steps = input.steps;
  loss.firstValue = kFirstValue;
  if (train) {
    staged.byToken = groupBy(noisy, config().vocabSize, memory);
    staged.byGene = groupBy(input.batch.genes, config().geneVocabSize, memory);
  }
  return staged;
}

PendingLoss Model::start(StagedLoss staged, double gradientScale, const DropoutStream& dropout,
                         Activations activations) {
  const Keep keep = activations == Activations::recompute ? Keep::blockInputs : Keep::everything;
  if (staged.input || staged.slot != nullptr) workspace_.reset();
  if (staged.input) {
    const AnyLossInput input = *std::move(staged.input);
    staged = stageIn(workspace_, input, true);
  }
  return computeLoss(std::move(staged), keep, gradientScale, dropout);
}

Model::LossResults Model::rankLoss(const StagedLoss& staged, const DenoiserActivations& activations,
                                   bool train, double gradientScale) {
  const auto count = staged.sums.maskedTokens;
  DiffusionLoss loss = staged.loss;
  loss.logits = activations.logits;
  loss.gradientScale = static_cast<float>(gradientScale);
  loss.loss = workspace_.span<float>(count);
  if (loss.noise.meanWeight) loss.meanLoss = workspace_.span<float>(count);
  if (train) loss.dlogits = workspace_.matrix(count, config().vocabSize, compute_);
  backend_->run(loss);

  TokenStatistics statistics;
  statistics.logits = activations.logits;
  statistics.target = loss.target;
  statistics.firstValue = kFirstValue;
  statistics.targetLogProbability = workspace_.span<float>(count);
  statistics.best = workspace_.span<std::int32_t>(count);
  statistics.bestProbability = workspace_.span<float>(count);
  statistics.expectedToken = workspace_.span<float>(count);
  backend_->run(statistics);
  return {loss.loss, loss.meanLoss, statistics.targetLogProbability, statistics.best, {loss.dlogits, {}}};
}

PendingLoss Model::computeLoss(StagedLoss staged, Keep keep, double gradientScale,
                               const DropoutStream& dropout) {
  const bool train = keep != Keep::nothing;
  InputSlot* const slot = staged.slot;
  staged.hold.reset();
  DenoiserInput in = staged.denoiser;
  in.cancelled = cancelled_;
  if (blockDone_) in.blockDone = &blockDone_;
  const auto count = staged.sums.maskedTokens;
  if (count == 0) return {*backend_, std::move(staged)};
  if (slot != nullptr)
    slot->used.reset();  // until all is given: what fails on the way has given a part of it

  if (train) {
    in.dropout = config().dropout;
    in.dropoutSeed = dropout.seed;
    in.step = dropout.step;
  }
  parameters_.prepare(staged.source);
  LossResults results;
  backend_->runAsOne([&] {
    const DenoiserActivations activations =
        denoiser_.forward(parameters_, staged.source, in, keep, workspace_);
    results = config().ofCounts() ? countLoss(staged, activations, train, gradientScale)
                                  : rankLoss(staged, activations, train, gradientScale);
    if (train)
      denoiser_.backward(parameters_, in, staged.byToken, staged.byGene, activations, results.gradients,
                         workspace_);
  });
  PendingLoss pending(*backend_, std::move(staged));
  PendingDownloads& downloads = pending.downloads_;
  downloads.into(pending.rowLoss_, results.loss);
  downloads.into(pending.rowMeanLoss_, results.meanLoss);
  downloads.into(pending.logProbability_, results.logProbability);
  downloads.into(pending.best_, results.best);
  const Mark done = downloads.close();
  if (slot != nullptr) slot->used = done;
  return pending;
}

}  // namespace ddsc
