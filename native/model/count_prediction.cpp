#include "model/count_prediction.h"

#include <utility>

#include "core/errors.h"
#include "model/model.h"

namespace ddsc {

namespace {

template <class T>
std::vector<T> downloaded(Backend& backend, const T* from, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0) backend.download(values.data(), from, values.size() * sizeof(T));
  return values;
}

}  // namespace

CountPrediction::CountPrediction(std::shared_ptr<Model> model, const CountRows& rows)
    : model_(std::move(model)),
      ragged_(HostRagged(rows.batch), rows.queryRows()),
      genes_(rows.queryGenes()),
      asked_(genes_, model_->config().sizesByState),
      depth_(rows.depth) {
  const std::int64_t floats = queries() * width() + rows.batch.cells() * model_->config().state;
  if (floats > 0) memory_ = Buffer(model_->backend(), static_cast<std::size_t>(floats) * sizeof(float));
  if (model_->config().sizesByState) return;
  const std::size_t doubles = asked_.genes.size() * static_cast<std::size_t>(model_->config().values() + 1);
  if (doubles > 0) tableMemory_ = Buffer(model_->backend(), doubles * sizeof(double));
}

std::int64_t CountPrediction::vocabSize() const { return model_->config().vocabSize; }

std::int64_t CountPrediction::width() const { return vocabSize() + (model_->config().sizesByState ? 2 : 1); }

Matrix CountPrediction::logitsView() const {
  return {memory_.as<float>(), queries(), vocabSize(), vocabSize(), DType::f32};
}

Span<float> CountPrediction::tiltView() const {
  return {memory_.as<float>() + queries() * vocabSize(), queries()};
}

Span<float> CountPrediction::logSizeView() const {
  if (!model_->config().sizesByState) return {};
  return {memory_.as<float>() + queries() * (vocabSize() + 1), queries()};
}

Matrix CountPrediction::stateView() const {
  const std::int64_t width = model_->config().state, cells = static_cast<std::int64_t>(depth_.size());
  return {memory_.as<float>() + queries() * this->width(), cells, width, width, DType::f32};
}

std::vector<float> CountPrediction::logits() const {
  return downloaded(model_->backend(), logitsView().as<float>(), queries() * vocabSize());
}

std::vector<float> CountPrediction::tilt() const {
  return downloaded(model_->backend(), tiltView().data, queries());
}

std::vector<float> CountPrediction::state() const {
  return downloaded(model_->backend(), stateView().as<float>(), stateView().rows * stateView().cols);
}

CountTable CountPrediction::table() const {
  const auto genes = static_cast<std::int64_t>(asked_.genes.size());
  CountTable table = model_->countTables_.shared();
  if (model_->config().sizesByState) return table;
  double* memory = tableMemory_.as<double>();
  table.sizes = {memory, genes};
  table.table = {memory + genes, genes * model_->config().values()};
  return table;
}

CountTable CountPrediction::movedTable() const {
  Workspace& w = model_->workspace_;
  CountTable table = model_->countTables_.table(w.upload(genes_), false, w);
  table.rowLogSize = logSizeView();
  model_->backend().run(table);
  return table;
}

CountBase CountPrediction::base() const {
  Workspace& w = model_->workspace_;
  DenoiserInput in;
  in.counts.queryGenes = w.upload(genes_);
  in.counts.queryCells = ragged_.upload(w);
  const CountTable of = model_->config().sizesByState ? movedTable() : table();
  return model_->countTables_.base(of, in, w.upload(asked_.place), w.upload(depth_), tiltView());
}

CountPrediction::Statistics CountPrediction::statistics(const std::vector<std::int32_t>& target,
                                                        bool logProbabilities) const {
  require(target.empty() || target.size() == genes_.size(), "BATCH_INVALID",
          "targets must have one entry a query");
  for (const std::int32_t value : target)
    require(value >= 0 && value < model_->config().values(), "BATCH_INVALID", "a target must be a value");
  Statistics result;
  const std::int64_t count = queries();
  if (count == 0) return result;
  Workspace& w = model_->workspace_;
  w.reset();
  CountStatistics op;
  op.logits = logitsView();
  op.base = base();
  op.firstValue = kFirstValue;
  if (!target.empty()) {
    op.target = w.upload(target);
    op.logProbability = w.span<float>(count);
    op.below = w.span<float>(count);
  }
  op.mean = w.span<float>(count);
  op.variance = w.span<float>(count);
  op.expressed = w.span<float>(count);
  if (logProbabilities) op.logProbabilities = w.matrix(count, model_->config().values(), DType::f32);
  model_->backend().run(op);
  PendingDownloads downloads(model_->backend());
  downloads.into(result.logProbability, op.logProbability);
  downloads.into(result.below, op.below);
  downloads.into(result.mean, op.mean);
  downloads.into(result.variance, op.variance);
  downloads.into(result.expressed, op.expressed);
  if (logProbabilities)
    downloads.into(result.logProbabilities,
                   Span<float>{op.logProbabilities.as<float>(), count * model_->config().values()});
  downloads.wait();
  return result;
}

void CountPrediction::guide(const CountPrediction& null, float gamma) {
  require(null.model_ == model_ && null.genes_ == genes_, "BATCH_INVALID",
          "guidance needs two predictions of one model for the same queries");
  if (queries() == 0) return;
  // Logits, tilts and log sizes stand one after the other.
  const auto floats = [](const CountPrediction& prediction) {
    const std::int64_t width = prediction.width();
    return Matrix{prediction.memory_.as<float>(), prediction.queries(), width, width, DType::f32};
  };
  model_->backend().run(Guide{floats(null), gamma, floats(*this)});
}

CountPrediction::Draw CountPrediction::draw(std::uint64_t seed, std::uint64_t step) const {
  Draw result;
  if (queries() == 0) return result;
  Workspace& w = model_->workspace_;
  w.reset();
  DrawCounts op;
  op.logits = logitsView();
  op.base = base();
  op.rows = ragged_.upload(w);
  op.firstValue = kFirstValue;
  op.low = model_->countTables_.low();
  op.seed = seed;
  op.step = step;
  op.values = w.span<std::int32_t>(queries());
  op.counts = w.span<std::int32_t>(queries());
  model_->backend().run(op);
  PendingDownloads downloads(model_->backend());
  downloads.into(result.values, op.values);
  downloads.into(result.counts, op.counts);
  downloads.wait();
  return result;
}

std::shared_ptr<CountPrediction> Model::predictCounts(const CountRows& rows, WeightSource source) {
  check(rows, config());
  workspace_.reset();
  auto prediction = std::make_shared<CountPrediction>(shared_from_this(), rows);
  if (rows.batch.rows() == 0) return prediction;
  DenoiserInput in = prepareCounts(rows, config(), parameters_.layout(), false, workspace_);
  in.cancelled = cancelled_;
  parameters_.prepare(source);
  const bool moves = config().sizesByState;
  CountTable table = prediction->table();
  if (!moves) {
    table.genes = workspace_.upload(prediction->asked_.genes);
    if (config().learntSizes) table.logSize = parameters_.vector(parameters_.layout().logSize, source);
  }
  backend_->runAsOne([&] {
    const DenoiserActivations a = denoiser_.forward(parameters_, source, in, Keep::nothing, workspace_);
    backend_->run(Convert{a.state.z, prediction->stateView()});
    if (prediction->queries() == 0) return;
    if (!moves) backend_->run(table);
    backend_->run(Convert{a.logits, prediction->logitsView()});
    const std::int64_t queries = prediction->queries();
    const auto copied = [&](Span<const float> from, Span<float> to) {
      backend_->run(
          Convert{{from.data, 1, queries, queries, DType::f32}, {to.data, 1, queries, queries, DType::f32}});
    };
    copied(a.state.tilt, prediction->tiltView());
    if (moves) copied(a.state.logSize, prediction->logSizeView());
  });
  return prediction;
}

}  // namespace ddsc
