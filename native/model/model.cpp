#include "model/model.h"

#include "core/errors.h"
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
  ddsc::run(op);
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

Model::Model(std::unique_ptr<Backend> backend, const DenoiserConfig& config, DType compute, bool trainable)
    : backend_(std::move(backend)),
      compute_(compute),
      denoiser_(*backend_, (check(config), config), compute),
      parameters_(*backend_, config, compute, trainable),
      workspace_(*backend_) {}

DenoiserInput Model::prepare(const CellBatch& batch, const std::vector<std::int32_t>& noisy,
                             const std::vector<float>& conditioning, const std::vector<std::int32_t>& rows,
                             const HostRagged& whole) {
  require(conditioning.size() == batch.cellIndex.size(), "BATCH_INVALID",
          "conditioning must have one entry a cell");
  const std::vector<float> still(conditioning.size(), 0.0f);
  DenoiserInput in;
  in.cells = whole.upload(workspace_);
  in.tokens = workspace_.upload(noisy);
  in.genes = workspace_.upload(batch.genes);
  in.conditioning = workspace_.upload(config().timeConditioning ? conditioning : still);
  in.selected = workspace_.upload(rows);
  in.selectedCells = HostRagged(whole, rows).upload(workspace_);
  in.cancelled = &cancelled_;
  return in;
}

LossSums Model::accumulate(const LossInput& input, double gradientScale, const DropoutStream& dropout,
                           Activations activations) {
  require(parameters_.trainable(), "MODEL_BUFFER",
          "this model was opened for inference; open it with trainable: true");
  require(input.source == WeightSource::weights, "MODEL_BUFFER", "the moving average is not trained");
  const Keep keep = activations == Activations::recompute ? Keep::blockInputs : Keep::everything;
  return run(input, keep, gradientScale, dropout);
}

LossSums Model::evaluate(const LossInput& input) { return run(input, Keep::nothing, 0, {}); }

LossSums Model::run(const LossInput& input, Keep keep, double gradientScale, const DropoutStream& dropout) {
  const bool train = keep != Keep::nothing;
  check(input.batch, config());
  checkNoise(input);
  workspace_.reset();
  const HostRagged whole(input.batch);
  const std::vector<std::int32_t> noisy = noisyTokens(input, whole, config());

  LossSums sums;
  sums.cellLoss.assign(input.batch.cellIndex.size(), 0.0);
  std::vector<std::int32_t> rows;
  for (std::size_t i = 0; i < noisy.size(); ++i) {
    if (input.batch.tokens[i] < kFirstValue) continue;
    ++sums.validTokens;
    if (noisy[i] == config().maskToken()) rows.push_back(static_cast<std::int32_t>(i));
  }
  sums.maskedTokens = static_cast<std::int64_t>(rows.size());
  if (rows.empty()) return sums;

  DenoiserInput in = prepare(input.batch, noisy, input.noise.conditioning, rows, whole);
  if (train) {
    in.dropout = config().dropout;
    in.dropoutSeed = dropout.seed;
    in.step = dropout.step;
  }
  parameters_.prepare(input.source);
  const DenoiserActivations activations = denoiser_.forward(parameters_, input.source, in, keep, workspace_);

  const auto count = static_cast<std::int64_t>(rows.size());
  const bool mean = !input.noise.meanWeight.empty();
  DiffusionLoss loss;
  loss.objective = input.objective;
  loss.logits = activations.logits;
  loss.target = workspace_.upload(pick(input.batch.tokens, rows));
  loss.cell = in.selectedCells.cell;
  loss.noise.weight = workspace_.upload(input.noise.weight);
  loss.noise.sigma = workspace_.upload(input.noise.sigma);
  loss.noise.time = workspace_.upload(input.noise.time);
  if (mean) loss.noise.meanWeight = workspace_.upload(input.noise.meanWeight);
  loss.steps = input.steps;
  loss.firstValue = kFirstValue;
  loss.gradientScale = static_cast<float>(gradientScale);
  loss.loss = workspace_.span<float>(count);
  if (mean) loss.meanLoss = workspace_.span<float>(count);
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

  if (train) {
    const Grouping byToken = groupBy(noisy, config().vocabSize, workspace_);
    const Grouping byGene = groupBy(input.batch.genes, config().geneVocabSize, workspace_);
    denoiser_.backward(parameters_, in, byToken, byGene, activations, loss.dlogits, workspace_);
  }

  const std::vector<float> rowLoss = download(*backend_, loss.loss);
  const std::vector<float> rowMeanLoss = download(*backend_, loss.meanLoss);
  const std::vector<float> logProbability = download(*backend_, statistics.targetLogProbability);
  const std::vector<std::int32_t> best = download(*backend_, statistics.best);
  const Ragged ragged = whole.view();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    sums.loss += static_cast<double>(rowLoss[i]);
    sums.crossEntropy -= static_cast<double>(logProbability[i]);
    if (mean) sums.meanLoss += static_cast<double>(rowMeanLoss[i]);
    if (best[i] == input.batch.tokens[static_cast<std::size_t>(rows[i])]) ++sums.correct;
    sums.cellLoss[static_cast<std::size_t>(ragged.cell[rows[i]])] += static_cast<double>(rowLoss[i]);
  }
  return sums;
}

std::shared_ptr<Prediction> Model::predict(const CellBatch& batch, const std::vector<float>& conditioning,
                                           std::vector<std::int32_t> rows, bool allMasked,
                                           WeightSource source) {
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
  const DenoiserInput in = prepare(batch, batch.tokens, conditioning, rows, whole);
  parameters_.prepare(source);
  const DenoiserActivations activations =
      denoiser_.forward(parameters_, source, in, Keep::nothing, workspace_);
  backend_->run(Convert{activations.logits, prediction->view()});
  return prediction;
}

}  // namespace ddsc
