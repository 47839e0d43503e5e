#include "core/errors.h"
#include "model/model.h"

namespace ddsc {

Prediction::Prediction(std::shared_ptr<Model> model, std::vector<std::int32_t> rows, HostRagged ragged,
                       std::int64_t cells)
    : model_(std::move(model)), rows_(std::move(rows)), ragged_(std::move(ragged)), cells_(cells) {
  if (!rows_.empty()) {
    logits_ = Buffer(model_->backend(), rows_.size() * static_cast<std::size_t>(vocabSize()) * sizeof(float));
  }
}

std::int64_t Prediction::vocabSize() const { return model_->config().vocabSize; }

Matrix Prediction::view() const {
  return {logits_.as<float>(), static_cast<std::int64_t>(rows_.size()), vocabSize(), vocabSize(), DType::f32};
}

void Prediction::logits(Span<float> to) const {
  require(to.size == view().rows * view().cols, "BATCH_INVALID", "logits need rows * vocabSize elements");
  if (to.size > 0)
    model_->backend().download(to.data, logits_.as<float>(),
                               static_cast<std::size_t>(to.size) * sizeof(float));
}

Prediction::Statistics Prediction::statistics(const std::vector<std::int32_t>& target) {
  const auto rows = static_cast<std::int64_t>(rows_.size());
  require(target.empty() || target.size() == rows_.size(), "BATCH_INVALID",
          "targets must have one entry a predicted row");
  for (const std::int32_t token : target) {
    require(token >= 0 && token < model_->config().maskToken(), "BATCH_INVALID",
            "a target must be a rank token, not the mask");
  }
  Statistics result;
  if (rows == 0) return result;
  Backend& backend = model_->backend();
  Workspace& w = model_->workspace_;
  w.reset();
  TokenStatistics op;
  op.logits = view();
  if (!target.empty()) {
    op.target = w.upload(target);
    op.targetLogProbability = w.span<float>(rows);
  }
  op.firstValue = kFirstValue;
  op.best = w.span<std::int32_t>(rows);
  op.bestProbability = w.span<float>(rows);
  op.expectedToken = w.span<float>(rows);
  backend.run(op);
  PendingDownloads downloads(backend);
  downloads.into(result.targetLogProbability, op.targetLogProbability);
  downloads.into(result.best, op.best);
  downloads.into(result.bestProbability, op.bestProbability);
  downloads.into(result.expectedToken, op.expectedToken);
  downloads.wait();
  if (target.empty()) result.targetLogProbability.assign(rows_.size(), 0.0f);
  return result;
}

Prediction::Draw Prediction::draw(const DrawOptions& o) {
  const auto cells = static_cast<std::size_t>(cells_);
  require(o.reveal.size() == cells && o.stay.size() == cells, "BATCH_INVALID",
          "reveal and stay must have one entry a cell");
  require(o.objective != Objective::sedd || o.sigma.size() == cells, "BATCH_INVALID",
          "sigma must have one entry a cell");
  require(o.temperature >= 0, "ARGUMENT_RANGE", "temperature must be at least 0");
  const auto predicted = static_cast<std::int64_t>(rows_.size());
  const auto rows = o.places ? static_cast<std::int64_t>(o.places->size()) : predicted;
  Draw result;
  if (rows == 0) return result;
  Backend& backend = model_->backend();
  Workspace& w = model_->workspace_;
  w.reset();
  DrawTokens op;
  op.objective = o.objective;
  if (o.places) {
    const std::vector<std::int32_t>& places = *o.places;
    for (std::size_t i = 0; i < places.size(); ++i) {
      require(places[i] >= 0 && places[i] < predicted && (i == 0 || places[i - 1] < places[i]),
              "BATCH_INVALID", "places must be numbers of predicted rows, ascending");
    }
    op.rows = HostRagged(ragged_, places).upload(w);
    const Matrix chosen = w.matrix(rows, vocabSize(), DType::f32);
    backend.run(GatherRows{view(), w.upload(places), chosen});
    op.logits = chosen;
  } else {
    op.rows = ragged_.upload(w);
    op.logits = view();
  }
  op.reveal = w.upload(o.reveal);
  op.stay = w.upload(o.stay);
  if (!o.sigma.empty()) op.sigma = w.upload(o.sigma);
  op.temperature = o.temperature;
  op.firstValue = kFirstValue;
  op.seed = o.seed;
  op.step = o.step;
  op.tokens = w.span<std::int32_t>(rows);
  op.probability = w.span<float>(rows);
  backend.run(op);
  PendingDownloads downloads(backend);
  downloads.into(result.tokens, op.tokens);
  downloads.into(result.probability, op.probability);
  downloads.wait();
  return result;
}

}  // namespace ddsc
