// A model of counts as a whole, on the backend under test: what holds for any weights.
#include <algorithm>
#include <cmath>
#include <functional>

#include "model/model.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// What a prediction says of one query: tilt, statistics and log probabilities, then the network's logits.
std::vector<float> saidOf(const std::shared_ptr<CountPrediction>& prediction,
                          const CountPrediction::Statistics& s, std::size_t query) {
  const auto vocab = static_cast<std::size_t>(prediction->vocabSize()), values = vocab - 3;
  std::vector<float> said = {
      prediction->tilt()[query], s.logProbability[query], s.below[query], s.mean[query],
      s.variance[query],         s.expressed[query]};
  const auto add = [&](const std::vector<float>& all, std::size_t width) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(query * width);
    said.insert(said.end(), from, from + static_cast<std::ptrdiff_t>(width));
  };
  add(s.logProbabilities, values);
  add(prediction->logits(), vocab);
  return said;
}

/// The same of all queries, by query.
std::vector<std::vector<float>> said(Model& model, const CountLossInput& input) {
  const auto prediction = model.predictCounts(input.rows, WeightSource::weights);
  const auto statistics = prediction->statistics(input.answers, true);
  std::vector<std::vector<float>> all;
  for (std::size_t query = 0; query < input.answers.size(); ++query)
    all.push_back(saidOf(prediction, statistics, query));
  return all;
}

/// Numbers of the whole input's queries that `chosen` gives.
std::vector<std::size_t> queriesOf(const std::vector<std::size_t>& cells,
                                   const std::function<bool(std::size_t, std::int32_t)>& keeps) {
  std::vector<std::size_t> first = {0}, queries;
  for (const CountCell& cell : unlikeCells())
    first.push_back(first.back() + static_cast<std::size_t>(cell.queries));
  for (const std::size_t cell : cells)
    for (std::int32_t query = 0; query < unlikeCells()[cell].queries; ++query)
      if (keeps(cell, query)) queries.push_back(first[cell] + static_cast<std::size_t>(query));
  return queries;
}

DDSC_TEST("what is said of a query does not depend on the other queries, nor on the cells beside it") {
  const auto all = [](std::size_t, std::int32_t) { return true; };
  const auto third = [](std::size_t, std::int32_t query) { return query % 3 == 1; };
  const auto one = [](std::size_t cell, std::int32_t query) { return cell == 5 && query == 41; };
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()}) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const auto model = countModel(config, type);
      const CountLossInput whole = countInput(unlikeCells(), config);
      const std::vector<std::vector<float>> expected = said(*model, whole);
      const auto checkPart = [&](const std::vector<std::size_t>& cells, const auto& keeps) {
        const std::vector<std::vector<float>> part = said(*model, chosen(whole, cells, config, keeps));
        const std::vector<std::size_t> queries = queriesOf(cells, keeps);
        checkEqual(part.size(), queries.size());
        for (std::size_t i = 0; i < queries.size(); ++i) checkSame(part[i], expected[queries[i]], type);
      };
      checkPart({0, 1, 2, 3, 4, 5, 6}, third);
      checkPart({5}, one);
      checkPart({6, 0}, all);
      checkPart({2, 5, 1, 3}, third);
      for (const std::size_t cell : std::vector<std::size_t>{0, 1, 2, 5, 6}) checkPart({cell}, all);
    }
  }
}

DDSC_TEST("the state of a cell does not depend on its queries, nor on the cells beside it") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput whole = countInput(unlikeCells(), config);
  const auto states = [&](const CountLossInput& input) {
    return model->predictCounts(input.rows, WeightSource::weights)->state();
  };
  const std::vector<float> expected = states(whole);
  const auto width = static_cast<std::ptrdiff_t>(config.state);
  checkEqual(expected.size(), unlikeCells().size() * static_cast<std::size_t>(width));
  const auto none = [](std::size_t, std::int32_t) { return false; };
  checkSame(states(chosen(whole, {0, 1, 2, 3, 4, 5, 6}, config, none)), expected);
  for (std::size_t cell = 0; cell < unlikeCells().size(); ++cell) {
    const auto from = expected.begin() + static_cast<std::ptrdiff_t>(cell) * width;
    checkSame(states(chosen(whole, {cell}, config)), std::vector<float>(from, from + width));
  }
}

DDSC_TEST("dropout and losses of a cell of counts do not depend on the cells beside it") {
  for (DenoiserConfig config : {countConfig(), plainCountConfig()}) {
    config.dropout = 0.3;
    const auto model = countModel(config);
    const CountLossInput whole = countInput(unlikeCells(), config);
    const LossSums together = model->accumulate(whole, 1.0, {4, 2});
    const double tolerance = onGpu() ? 1e-5 : 1e-9;
    for (std::size_t cell = 0; cell < unlikeCells().size(); ++cell) {
      const LossSums alone = model->accumulate(chosen(whole, {cell}, config), 1.0, {4, 2});
      checkClose(alone.cellLoss.front(), together.cellLoss[cell], tolerance * (1 + together.cellLoss[cell]));
    }
    const LossSums other = model->accumulate(whole, 1.0, {4, 3});
    check(std::abs(other.loss - together.loss) > 1e-3, "another step has the same dropout");
    check(std::abs(model->evaluate(whole).loss - together.loss) > 1e-3, "nothing is dropped");
  }
}

DDSC_TEST("dropout of a row depends on its place in the cell, not on the queries that follow") {
  DenoiserConfig config = countConfig();
  config.dropout = 0.3;
  const auto model = countModel(config);
  CountLossInput whole = countInput({{20, 9}, {13, 12}}, config);
  // Only the first four queries of each cell count.
  for (std::size_t i = 0; i < whole.weight.size(); ++i)
    if ((i >= 4 && i < 9) || i >= 13) whole.weight[i] = 0;
  const auto first = [](std::size_t, std::int32_t query) { return query < 4; };
  const LossSums all = model->accumulate(whole, 1.0, {4, 2}),
                 few = model->accumulate(chosen(whole, {0, 1}, config, first), 1.0, {4, 2});
  for (std::size_t cell = 0; cell < 2; ++cell)
    checkClose(few.cellLoss[cell], all.cellLoss[cell], (onGpu() ? 1e-5 : 1e-9) * (1 + all.cellLoss[cell]));
}

/// log p of all values under a negative binomial, normalised over values.
std::vector<long double> negativeBinomial(const CountValues& values, long double mean, long double size) {
  const long double m = std::max(mean, 1e-8L), r = size;
  std::vector<long double> x;
  for (std::int64_t value = 0; value < values.values(); ++value) {
    const long double k = values.middle()[value];
    const long double width = values.high()[value] - values.low()[value] + 1;
    x.push_back(std::lgamma(k + r) - std::lgamma(r) - std::lgamma(k + 1) + std::log(width) -
                r * std::log1p(m / r) - k * std::log1p(r / m));
  }
  // One less, so that a probability near 1 keeps what it lacks of it.
  const auto best = std::max_element(x.begin(), x.end());
  const long double most = *best;
  long double others = 0;
  for (auto at = x.begin(); at != x.end(); ++at)
    if (at != best) others += std::exp(*at - most);
  for (long double& one : x) one -= most + std::log1p(others);
  return x;
}

DDSC_TEST("a count model that has learnt nothing says what the negative binomials of its genes say") {
  const CountValues values;
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()}) {
    const auto model = untrainedCountModel(config);
    const GeneBase base = geneBase(config);
    const CountLossInput input = countInput(unlikeCells(), config);
    const CountRows& rows = input.rows;
    const auto statistics =
        model->predictCounts(rows, WeightSource::weights)->statistics(input.answers, true);
    std::size_t query = 0;
    double loss = 0;
    for (std::size_t cell = 0; cell < rows.keys.size(); ++cell) {
      for (std::int32_t row = rows.batch.offsets[cell] + rows.keys[cell]; row < rows.batch.offsets[cell + 1];
           ++row, ++query) {
        const auto gene = static_cast<std::size_t>(rows.batch.genes[static_cast<std::size_t>(row)]);
        const std::vector<long double> expected = negativeBinomial(
            values, static_cast<long double>(rows.depth[cell]) * static_cast<long double>(base.share[gene]),
            static_cast<long double>(base.size[gene]));
        for (std::size_t value = 0; value < expected.size(); ++value)
          checkClose(static_cast<double>(statistics.logProbabilities[query * expected.size() + value]),
                     static_cast<double>(expected[value]),
                     1e-6 * std::abs(static_cast<double>(expected[value])));
        const double answer = static_cast<double>(expected[static_cast<std::size_t>(input.answers[query])]);
        checkClose(static_cast<double>(statistics.logProbability[query]), answer, 1e-6 * std::abs(answer));
        loss -= static_cast<double>(input.weight[query]) * answer;
      }
    }
    checkClose(model->evaluate(input).loss, loss, 1e-6 * loss);
    checkClose(model->accumulate(input, 1.0, {}).loss, loss, 1e-6 * loss);
  }
}

DDSC_TEST(
    "a batch of counts in which nothing is asked has no loss, leaves the gradient alone and has states") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput input = countInput({{5, 0}, {0, 0}, {30, 0}}, config);
  const LossSums sums = model->accumulate(input, 1.0, {});
  checkEqual(sums.maskedTokens, 0);
  checkEqual(sums.validTokens, 3);
  checkEqual(sums.cellLoss.size(), std::size_t{3});
  checkClose(sums.loss, 0, 0);
  for (const float one : buffer(*model, "gradient")) checkEqual(one, 0.0f);
  const auto prediction = model->predictCounts(input.rows, WeightSource::weights);
  checkEqual(prediction->queries(), 0);
  checkEqual(prediction->logits().size() + prediction->tilt().size(), std::size_t{0});
  checkEqual(prediction->statistics({}, true).mean.size(), std::size_t{0});
  checkEqual(prediction->draw(1, 2).values.size(), std::size_t{0});
  for (const float one : prediction->state()) check(std::isfinite(one) && one != 0, "no state");
}

DDSC_TEST("no cells of counts at all are a batch, too") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput input = countInput({}, config);
  checkClose(model->accumulate(input, 1.0, {}).loss, 0, 0);
  const auto prediction = model->predictCounts(input.rows, WeightSource::weights);
  checkEqual(prediction->queries(), 0);
  checkEqual(prediction->state().size(), std::size_t{0});
}

}  // namespace
}  // namespace ddsc::test
