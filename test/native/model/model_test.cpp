// The whole model on the CPU backend: what holds for any weights. Agreement with the reference is the parity
// tests' matter.
#include "model/model.h"

#include <atomic>
#include <cmath>

#include "core/errors.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// Cells `first` .. `first + count - 1` of an input.
LossInput part(const LossInput& whole, std::size_t first, std::size_t count) {
  CellBatch batch;
  const auto begin = whole.batch.offsets[first], end = whole.batch.offsets[first + count];
  for (std::size_t i = first; i <= first + count; ++i)
    batch.offsets.push_back(whole.batch.offsets[i] - begin);
  batch.tokens.assign(whole.batch.tokens.begin() + begin, whole.batch.tokens.begin() + end);
  batch.genes.assign(whole.batch.genes.begin() + begin, whole.batch.genes.begin() + end);
  const auto from = whole.batch.cellIndex.begin() + static_cast<std::ptrdiff_t>(first);
  batch.cellIndex.assign(from, from + static_cast<std::ptrdiff_t>(count));
  return lossInput(batch, whole.masking.moveChance.front());
}

double totalLoss(Model& model, const LossInput& input) {
  const LossSums sums = model.evaluate(input);
  return sums.loss + sums.meanLoss;
}

DDSC_TEST(
    "the gradient along a direction is the loss's slope, with rotary, time conditioning and mean matching") {
  DenoiserConfig config = smallConfig();
  config.timeConditioning = true;
  const auto model = randomModel(config);
  const LossInput input = lossInput(cells({9, 1, 23, 4}, config));
  model->accumulate(input, 1.0, {});
  const std::vector<float> gradient = buffer(*model, "gradient"), weights = buffer(*model, "weights");

  for (const Parameter* p : model->parameters().layout().all()) {
    const std::vector<float> direction = randomValues(900, p->size());
    const auto moved = [&](double step) {
      std::vector<float> values(static_cast<std::size_t>(p->size()));
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] =
            weights[static_cast<std::size_t>(p->offset) + i] + static_cast<float>(step) * direction[i];
      }
      model->parameters().write("weights", p->offset, {values.data(), p->size()});
      return totalLoss(*model, input);
    };
    double slope = 0, size = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      const double g = static_cast<double>(gradient[static_cast<std::size_t>(p->offset) + i]);
      slope += g * static_cast<double>(direction[i]);
      size += g * g;
    }
    const double step = 2e-3;
    const double measured = (moved(step) - moved(-step)) / (2 * step);
    moved(0);
    // Float32 losses of about 100 nats leave some 1e-5 / step of noise in the difference.
    checkClose(measured, slope, 0.02 * std::sqrt(size) + 0.02);
  }
}

DDSC_TEST("a training step gives the same bits for any number of threads") {
  if (threadsUnderTest().size() == 1) skip("for the CPU");
  for (const DType type : {DType::f32, DType::bf16}) {
    DenoiserConfig config = smallConfig();
    config.dropout = 0.2;
    std::vector<float> first;
    for (const int threads : threadsUnderTest()) {
      const auto model = randomModel(config, type, threads);
      const LossInput input = lossInput(cells({70, 1, 33, 150}, config));
      for (std::int64_t step = 1; step <= 2; ++step) {
        model->accumulate(input, 0.01, {9, static_cast<std::uint64_t>(step)});
        check(model->parameters().update(updateOptions(step)).applied, "the step was refused");
      }
      const std::vector<float> weights = buffer(*model, "weights");
      if (first.empty()) first = weights;
      checkSameBits(weights, first);
    }
  }
}

DDSC_TEST("masks, dropout and losses of a cell do not depend on the cells beside it") {
  DenoiserConfig config = smallConfig();
  config.dropout = 0.3;
  const auto model = randomModel(config);
  const LossInput whole = lossInput(cells({20, 5, 40, 11}, config));
  const LossSums together = model->accumulate(whole, 1.0, {4, 2});
  for (std::size_t c = 0; c < 4; ++c) {
    const LossSums alone = model->accumulate(part(whole, c, 1), 1.0, {4, 2});
    checkClose(alone.cellLoss.front(), together.cellLoss[c], 1e-4 * (1 + together.cellLoss[c]));
  }
}

DDSC_TEST("micro-batches add up to the gradient of the whole batch") {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(config);
  const LossInput whole = lossInput(cells({20, 5, 40, 11}, config));
  model->accumulate(whole, 0.5, {});
  const std::vector<float> expected = buffer(*model, "gradient");
  model->parameters().write("gradient", 0,
                            {std::vector<float>(expected.size()).data(), model->parameters().layout().size});
  model->accumulate(part(whole, 0, 2), 0.5, {});
  model->accumulate(part(whole, 2, 2), 0.5, {});
  checkRelative(buffer(*model, "gradient"), expected, 1e-5);
}

DDSC_TEST("logits of a row are the same whichever rows are asked for") {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(config);
  const CellBatch batch = cells({12, 30}, config);
  const std::vector<float> noise(2, 0.0f);
  std::vector<std::int32_t> all(42);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  const auto logits = [&](const std::vector<std::int32_t>& rows) {
    std::vector<float> values(rows.size() * static_cast<std::size_t>(config.vocabSize));
    model->predict(batch, noise, rows, false, WeightSource::weights)
        ->logits({values.data(), static_cast<std::int64_t>(values.size())});
    return values;
  };
  const std::vector<float> whole = logits(all);
  const std::vector<std::int32_t> some = {3, 11, 12, 40};
  const std::vector<float> few = logits(some);
  const auto width = static_cast<std::size_t>(config.vocabSize);
  std::vector<float> expected;
  for (const std::int32_t row : some) {
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * width);
    expected.insert(expected.end(), from, from + static_cast<std::ptrdiff_t>(width));
  }
  checkRelative(few, expected, 1e-6);
}

DDSC_TEST("the moving average predicts like a model that has its weights") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const DenoiserConfig config = smallConfig();
    const auto model = randomModel(config, type);
    const LossInput input = lossInput(cells({12, 30}, config));
    model->accumulate(input, 0.1, {});
    model->parameters().update(updateOptions(1));
    LossInput averaged = input;
    averaged.source = WeightSource::ema;
    const double expected = totalLoss(*model, averaged);
    const std::vector<float> ema = buffer(*model, "ema");
    model->parameters().write("weights", 0, {ema.data(), static_cast<std::int64_t>(ema.size())});
    checkClose(totalLoss(*model, input), expected, 0);
  }
}

DDSC_TEST("a gradient that is not finite changes nothing") {
  const auto model = randomModel(smallConfig());
  const std::vector<float> before = buffer(*model, "weights");
  const float bad = std::nanf("");
  model->parameters().write("gradient", 3, {&bad, 1});
  check(!model->parameters().update(updateOptions(1)).applied, "the step was applied");
  checkSameBits(buffer(*model, "weights"), before);
}

DDSC_TEST("a batch without a masked token has no loss and leaves the gradient alone") {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(config);
  const LossSums sums = model->accumulate(lossInput(cells({5, 6}, config), 0.0), 1.0, {});
  checkEqual(sums.maskedTokens, 0);
  checkEqual(sums.validTokens, 9);
  checkClose(sums.loss, 0, 0);
}

DDSC_TEST("a batch that cannot be is refused with the token that is wrong") {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(config);
  LossInput input = lossInput(cells({5, 6}, config));
  input.batch.genes[4] = 40;
  checkThrows<Error>([&] { model->evaluate(input); }, "gene id 40 at token 4");
  input.batch.genes[4] = 4;
  input.batch.offsets[1] = 12;
  checkThrows<Error>([&] { model->evaluate(input); }, "offsets must not fall");
}

DDSC_TEST("a shape that cannot be is refused") {
  DenoiserConfig config = smallConfig();
  config.heads = 3;
  checkThrows<Error>([&] { randomModel(config); }, "heads must divide hidden");
}

DDSC_TEST("a cancelled call ends with an error and the next one runs") {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(config);
  const LossInput input = lossInput(cells({5, 6}, config));
  const std::atomic<bool> cancelled = true;
  model->cancelBy(&cancelled);
  checkThrows<Error>([&] { model->evaluate(input); }, "cancelled");
  model->cancelBy(nullptr);
  check(std::isfinite(totalLoss(*model, input)), "the loss is not finite");
}

}  // namespace
}  // namespace ddsc::test
