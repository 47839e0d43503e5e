// Losses of a model of counts: the weighted -log p of the queries, p the softmax of network and base over the
// values.
#include <cmath>
#include <string>

#include "core/errors.h"
#include "model/model.h"

namespace ddsc {

StagedLoss Model::stageCounts(Workspace& memory, const CountLossInput& input, bool train) {
  check(input.rows, config());
  const std::int64_t queries = input.rows.queries();
  const auto count = static_cast<std::size_t>(queries);
  require(input.answers.size() == count && input.weight.size() == count, "BATCH_INVALID",
          "answers and weights must have one entry a query");
  for (std::size_t i = 0; i < count; ++i) {
    require(input.answers[i] >= 0 && input.answers[i] < config().values(), "BATCH_INVALID",
            "an answer must be a value");
    require(std::isfinite(input.weight[i]), "BATCH_INVALID", "weights must be finite");
  }
  StagedLoss staged;
  LossSums& sums = staged.sums;
  sums.cellLoss.assign(input.rows.keys.size(), 0.0);
  sums.validTokens = input.rows.batch.cells();
  sums.maskedTokens = queries;
  if (queries == 0) return staged;

  staged.source = input.source;
  staged.denoiser = prepareCounts(input.rows, config(), parameters_.layout(), train, memory);
  staged.target = input.answers;
  for (std::size_t cell = 0; cell < input.rows.keys.size(); ++cell) {
    const std::int32_t first = input.rows.batch.offsets[cell] + input.rows.keys[cell];
    const std::int32_t end = input.rows.batch.offsets[cell + 1];
    staged.rowCell.insert(staged.rowCell.end(), static_cast<std::size_t>(end - first),
                          static_cast<std::int32_t>(cell));
  }
  const QueryGenes asked(input.rows.queryGenes(), config().sizesByState);
  CountLoss& loss = staged.countLoss;
  staged.askedGenes = memory.upload(asked.genes);
  loss.base =
      countTables_.base({}, staged.denoiser, memory.upload(asked.place), memory.upload(input.rows.depth), {});
  loss.firstValue = kFirstValue;
  loss.target = memory.upload(staged.target);
  loss.weight = memory.upload(input.weight);
  if (train) {
    staged.byToken = groupBy(input.rows.batch.tokens, config().vocabSize, memory);
    staged.byGene = groupBy(input.rows.batch.genes, config().geneVocabSize, memory);
  }
  return staged;
}

Model::LossResults Model::countLoss(const StagedLoss& staged, const DenoiserActivations& activations,
                                    bool train, double gradientScale) {
  const std::int64_t queries = staged.sums.maskedTokens;
  CountLoss loss = staged.countLoss;
  loss.logits = activations.logits;
  const ParameterLayout& names = parameters_.layout();
  const bool learnsSizes = train && config().learntSizes;
  CountTable table = countTables_.table(staged.askedGenes, learnsSizes, workspace_);
  if (config().learntSizes) table.logSize = parameters_.vector(names.logSize, staged.source);
  table.rowLogSize = activations.state.logSize;
  loss.base.middle = table.middle;
  loss.base.sizes = table.sizes;
  loss.base.table = table.table;
  loss.base.slope = table.slope;
  loss.base.tilt = activations.state.tilt;
  loss.gradientScale = static_cast<float>(gradientScale);
  loss.loss = workspace_.span<float>(queries);
  loss.logProbability = workspace_.span<float>(queries);
  if (train) {
    loss.dlogits = workspace_.matrix(queries, config().vocabSize, compute_);
    loss.dtilt = workspace_.span<float>(queries);
  }
  if (learnsSizes) {
    loss.logSize = table.logSize;
    loss.rowLogSize = table.rowLogSize;
    loss.dlogSize = workspace_.span<float>(queries);
  }
  backend_->run(table);
  backend_->run(loss);
  if (learnsSizes) {
    const Matrix dsizes = parameters_.gradient(names.logSize);
    // A table of one column: a row for each gene.
    backend_->at("sizes").run(EmbedGradient{{loss.dlogSize.data, queries, 1, 1, DType::f32},
                                            staged.denoiser.counts.byQueryGene,
                                            {},
                                            {dsizes.data, config().geneVocabSize, 1, 1, DType::f32},
                                            {}});
  }
  return {loss.loss, {}, loss.logProbability, {}, {loss.dlogits, loss.dtilt, loss.dlogSize}};
}

}  // namespace ddsc
