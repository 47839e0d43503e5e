// Gradients of a model of counts: slopes of its loss, however they are made.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "model/model.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// The loss with one parameter's values written in place of its own.
double lossWith(Model& model, const Parameter& p, const std::vector<float>& values,
                const CountLossInput& input) {
  model.parameters().write("weights", p.offset, {values.data(), p.size()});
  return model.evaluate(input).loss;
}

std::vector<float> valuesOf(const std::vector<float>& all, const Parameter& p) {
  const auto from = all.begin() + p.offset;
  return {from, from + p.size()};
}

/// The element with the largest gradient, and a few that are drawn.
std::vector<std::size_t> someElements(const std::vector<float>& gradient, std::uint32_t name) {
  const auto larger = [](float a, float b) { return std::abs(a) < std::abs(b); };
  std::vector<std::size_t> some = {static_cast<std::size_t>(
      std::max_element(gradient.begin(), gradient.end(), larger) - gradient.begin())};
  for (const float at : randomValues(name, 3, 0.5f))
    some.push_back(
        static_cast<std::size_t>((static_cast<double>(at) + 0.5) * static_cast<double>(gradient.size())));
  return some;
}

void checkSlopes(const DenoiserConfig& config) {
  const auto model = countModel(config);
  const CountLossInput input = countInput(fewUnlikeCells(), config);
  model->accumulate(input, 1.0, {});
  const std::vector<float> gradients = buffer(*model, "gradient"), weights = buffer(*model, "weights");
  std::uint32_t name = 900;
  for (const Parameter* p : model->parameters().layout().all()) {
    const std::vector<float> gradient = valuesOf(gradients, *p), values = valuesOf(weights, *p);
    const std::vector<float> direction = randomValues(name++, p->size());
    const auto slope = [&](double step, const auto& along) {
      const auto moved = [&](double by) {
        std::vector<float> to = values;
        for (std::size_t i = 0; i < to.size(); ++i)
          to[i] = static_cast<float>(static_cast<double>(to[i]) + by * along(i));
        return lossWith(*model, *p, to, input);
      };
      return (moved(step) - moved(-step)) / (2 * step);
    };
    double expected = 0, squares = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      expected += static_cast<double>(gradient[i]) * static_cast<double>(direction[i]);
      squares += static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]);
    }
    const double size = std::sqrt(squares);
    const auto named = [&](const auto& body) {
      try {
        body();
      } catch (const std::exception& error) {
        throw std::runtime_error(p->name + ": " + error.what());
      }
    };
    named([&] {
      check(size > 1e-3, "nothing flows here");
      // Losses in float32 leave some 1e-5 / step of noise in the difference.
      checkClose(slope(2e-3, [&](std::size_t i) { return static_cast<double>(direction[i]); }), expected,
                 0.02 * size + 0.02);
      if (onGpu()) return;
      for (const std::size_t element : someElements(gradient, name + 5000))
        checkClose(slope(1e-2, [&](std::size_t i) { return i == element ? 1.0 : 0.0; }),
                   static_cast<double>(gradient[element]),
                   0.02 * std::abs(static_cast<double>(gradient[element])) + 0.01);
    });
    lossWith(*model, *p, values, input);
  }
}

DDSC_TEST(
    "the gradient along a direction, and by single weights, is the slope of a count model's loss, with "
    "conditions, totals, a summary and sizes") {
  checkSlopes(countConfig());
}

DDSC_TEST(
    "the gradient along a direction, and by single weights, is the slope of a plain count model's loss") {
  if (onGpu()) skip("for the CPU: a GPU has what is plain among the rest");
  checkSlopes(plainCountConfig());
}

DDSC_TEST(
    "the gradient along a direction, and by single weights, is the slope of the loss of a count model whose "
    "sizes are learnt by gene alone") {
  if (onGpu()) skip("for the CPU: the ops are those of the others");
  DenoiserConfig config = plainCountConfig();
  config.learntSizes = true;
  checkSlopes(config);
}

enum class Way { accumulate, staged };

std::vector<float> gradientBy(Way way, DenoiserConfig config, DType type, Activations activations) {
  config.dropout = 0.3;
  const auto model = countModel(config, type, 2);
  const CountLossInput input = countInput(fewUnlikeCells(), config);
  if (way == Way::accumulate)
    model->accumulate(input, 0.7, {9, 3}, activations);
  else
    model->start(model->stage(input), 0.7, {9, 3}, activations).finish();
  return buffer(*model, "gradient");
}

DDSC_TEST("a batch of counts that is staged gives the bits of one that is not") {
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const std::vector<float> expected = gradientBy(Way::accumulate, config, type, Activations::keep);
      for (const Activations activations : {Activations::keep, Activations::recompute})
        checkSameBits(gradientBy(Way::staged, config, type, activations), expected);
    }
  }
}

DDSC_TEST("micro-batches of counts add up to the gradient of the whole batch") {
  const DenoiserConfig config = countConfig();
  const CountLossInput whole = countInput(unlikeCells(), config);
  const auto together = countModel(config), apart = countModel(config);
  const LossSums expected = together->accumulate(whole, 0.5, {});
  const LossSums first = apart->accumulate(chosen(whole, {0, 1, 2}, config), 0.5, {}),
                 second = apart->accumulate(chosen(whole, {3, 4, 5, 6}, config), 0.5, {});
  checkClose(first.loss + second.loss, expected.loss, 1e-6 * expected.loss);
  checkEqual(first.maskedTokens + second.maskedTokens, expected.maskedTokens);
  checkRelative(buffer(*apart, "gradient"), buffer(*together, "gradient"), 1e-5);
}

DDSC_TEST("where a block is done, its part of the gradient is final; the parts are the whole of it, once") {
  const auto checkFinal = [](Model& model, const AnyLossInput& input) {
    const std::vector<BufferPart> parts = model.parameters().layout().finalParts();
    std::vector<std::vector<float>> seen;
    model.onBlockDone([&] {
      model.backend().endPiece();
      const BufferPart part = parts.at(seen.size());
      std::vector<float>& values = seen.emplace_back(static_cast<std::size_t>(part.end - part.begin));
      model.parameters().read("gradient", part.begin, {values.data(), part.end - part.begin});
    });
    model.accumulate(input, 1.0, {});
    model.onBlockDone({});
    checkEqual(seen.size(), static_cast<std::size_t>(model.config().blocks));
    const std::vector<float> whole = buffer(model, "gradient");
    for (std::size_t i = 0; i < seen.size(); ++i)
      checkSameBits(seen[i],
                    std::span(whole).subspan(static_cast<std::size_t>(parts[i].begin), seen[i].size()));
    check(std::any_of(seen[0].begin(), seen[0].end(), [](float value) { return value != 0; }), "all zeros");
    std::vector<int> covered(whole.size());
    for (const BufferPart& part : parts)
      for (std::int64_t i = part.begin; i < part.end; ++i) ++covered.at(static_cast<std::size_t>(i));
    check(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }),
          "gap or overlap");
  };
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()})
    checkFinal(*countModel(config), countInput(fewUnlikeCells(), config));
  const DenoiserConfig ranks = smallConfig();
  checkFinal(*randomModel(ranks), lossInput(cells({5, 9, 3}, ranks)));
}

DDSC_TEST("a training step of a count model gives the same bits for any number of threads") {
  if (threadsUnderTest().size() == 1) skip("for the CPU");
  for (const DType type : {DType::f32, DType::bf16}) {
    DenoiserConfig config = countConfig();
    config.dropout = 0.2;
    std::vector<float> first;
    for (const int threads : threadsUnderTest()) {
      const auto model = countModel(config, type, threads);
      const CountLossInput input = countInput(unlikeCells(), config);
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

DDSC_TEST("the gradient of a count model in bf16 is near that in float32") {
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()}) {
    const CountLossInput input = countInput(unlikeCells(), config);
    std::vector<float> gradients[2];
    double losses[2];
    for (const int half : {0, 1}) {
      const auto model = countModel(config, half == 1 ? DType::bf16 : DType::f32);
      losses[half] = model->accumulate(input, 1.0, {}).loss;
      gradients[half] = buffer(*model, "gradient");
    }
    checkClose(losses[1], losses[0], 5e-3 * losses[0]);
    checkRelative(gradients[1], gradients[0], 0.02);
  }
}

}  // namespace
}  // namespace ddsc::test
