#include "test/native/model/count_model.h"

#include <cmath>
#include <limits>
#include <utility>

#include "test/native/harness.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {

namespace {

constexpr float kNotGiven = std::numeric_limits<float>::quiet_NaN();

/// How many conditions have labels, or are numbers.
std::size_t conditions(const DenoiserConfig& config, bool withLabels) {
  std::size_t count = 0;
  for (const std::int64_t labels : config.conditions) count += (labels > 0) == withLabels ? 1 : 0;
  return count;
}

std::shared_ptr<Model> withBase(std::shared_ptr<Model> model) {
  const GeneBase base = geneBase(model->config());
  model->setBase(base.share, base.size);
  return model;
}

/// Of numbers in [-1, 1), counts as cells have them: most of them small.
std::int32_t valueOf(float number) {
  const float most = number > 0.8f ? 75.0f : 6.0f;
  return static_cast<std::int32_t>(std::abs(number) * most);
}

/// `width` entries of each of these cells.
template <class T>
std::vector<T> ofCells(const std::vector<T>& whole, const std::vector<std::size_t>& cells,
                       std::size_t width = 1) {
  std::vector<T> some;
  for (const std::size_t cell : cells) {
    const auto from = whole.begin() + static_cast<std::ptrdiff_t>(cell * width);
    some.insert(some.end(), from, from + static_cast<std::ptrdiff_t>(width));
  }
  return some;
}

}  // namespace

DenoiserConfig plainCountConfig() {
  DenoiserConfig c = smallConfig();
  c.vocabSize = CountValues().values() + 3;
  c.geneVocabSize = 200;
  c.timeConditioning = true;
  c.rotary = false;
  c.state = 8;
  return c;
}

DenoiserConfig countConfig() {
  DenoiserConfig c = plainCountConfig();
  c.conditions = {3, 0, 5, 0};
  c.summary = 12;
  c.learntSizes = c.sizesByState = true;
  return c;
}

GeneBase geneBase(const DenoiserConfig& config) {
  const std::vector<float> shares = randomValues(70, config.geneVocabSize);
  const std::vector<float> sizes = randomValues(71, config.geneVocabSize);
  GeneBase base;
  for (std::size_t gene = 0; gene < shares.size(); ++gene) {
    base.share.push_back(gene % 67 == 4 ? 0 : std::exp(-6 + 3 * static_cast<double>(shares[gene])));
    base.size.push_back(std::exp(4 * static_cast<double>(sizes[gene])));
  }
  return base;
}

std::shared_ptr<Model> countModel(const DenoiserConfig& config, DType type, int threads) {
  return withBase(randomModel(config, type, threads));
}

std::shared_ptr<Model> countModel(std::unique_ptr<Backend> backend, const DenoiserConfig& config,
                                  DType type) {
  return withBase(randomModel(std::move(backend), config, type));
}

std::shared_ptr<Model> untrainedCountModel(const DenoiserConfig& config) {
  auto model = std::make_shared<Model>(backendUnderTest(1), config, DType::f32, true);
  model->parameters().initialise(7);
  return withBase(std::move(model));
}

CountLossInput countInput(const std::vector<CountCell>& shapes, const DenoiserConfig& config) {
  CountLossInput input;
  CountRows& rows = input.rows;
  rows.batch.offsets = {0};
  for (std::size_t cell = 0; cell < shapes.size(); ++cell) {
    const auto [evidence, queries] = shapes[cell];
    const std::int32_t count = 1 + evidence + queries;
    const auto own = static_cast<std::uint32_t>(1000 + 10 * cell);
    const std::vector<float> numbers = randomValues(own, count), weights = randomValues(own + 1, count);
    const auto genes = static_cast<std::int32_t>(config.geneVocabSize - 3);
    float total = 0;
    for (std::int32_t row = 0; row < count; ++row) {
      const auto at = static_cast<std::size_t>(row);
      const std::int32_t value = valueOf(numbers[at]);
      const bool isQuery = row > evidence;
      // No cell has a gene twice: 31 and the number of genes have no common factor.
      rows.batch.genes.push_back(row == 0 ? 1
                                          : 3 + (static_cast<std::int32_t>(cell) * 17 + row * 31) % genes);
      rows.batch.tokens.push_back(row == 0  ? 0
                                  : isQuery ? config.maskToken()
                                            : kFirstValue + 1 + value + row % 90);
      if (isQuery) {
        input.answers.push_back(value);
        input.weight.push_back(1.5f + weights[at]);
      } else if (row > 0) {
        total += static_cast<float>(1 + value);
      }
    }
    rows.batch.offsets.push_back(static_cast<std::int32_t>(rows.batch.tokens.size()));
    rows.batch.cellIndex.push_back(11 + cell);
    rows.keys.push_back(1 + evidence);
    rows.hidden.push_back(queries + 5);
    rows.measured.push_back(180);
    rows.visibleTotal.push_back(total);
    rows.visibleShare.push_back(0.05f + 0.1f * static_cast<float>(cell % 7));
    rows.total.push_back(cell % 3 == 1 ? kNotGiven : total + 100.0f * static_cast<float>(cell));
    rows.depth.push_back(cell % 4 == 3 ? 40 : 700 + 100 * static_cast<double>(cell));
    for (std::size_t i = 0; i < conditions(config, false); ++i)
      rows.numbers.push_back((cell + i) % 3 == 2 ? kNotGiven : 0.4f * static_cast<float>(cell) - 1.0f);
    std::size_t which = 0;
    for (const std::int64_t labels : config.conditions)
      if (labels > 0)
        rows.labels.push_back(
            static_cast<std::int32_t>((cell + which++) % static_cast<std::size_t>(labels + 1)));
    const std::vector<float> summary = randomValues(own + 2, config.summary);
    rows.summary.insert(rows.summary.end(), summary.begin(), summary.end());
  }
  return input;
}

CountLossInput chosen(const CountLossInput& whole, const std::vector<std::size_t>& cells,
                      const DenoiserConfig& config,
                      const std::function<bool(std::size_t, std::int32_t)>& keeps) {
  const CountRows& all = whole.rows;
  std::vector<std::size_t> firstQuery = {0};
  for (std::size_t cell = 0; cell < all.keys.size(); ++cell) {
    const std::int32_t queries = all.batch.offsets[cell + 1] - all.batch.offsets[cell] - all.keys[cell];
    firstQuery.push_back(firstQuery.back() + static_cast<std::size_t>(queries));
  }
  CountLossInput input;
  input.source = whole.source;
  CountRows& rows = input.rows;
  rows.batch.offsets = {0};
  for (const std::size_t cell : cells) {
    const std::int32_t first = all.batch.offsets[cell], firstAsked = first + all.keys[cell];
    for (std::int32_t row = first; row < all.batch.offsets[cell + 1]; ++row) {
      if (row >= firstAsked) {
        const std::size_t query = firstQuery[cell] + static_cast<std::size_t>(row - firstAsked);
        if (!keeps(cell, row - firstAsked)) continue;
        input.answers.push_back(whole.answers[query]);
        input.weight.push_back(whole.weight[query]);
      }
      rows.batch.tokens.push_back(all.batch.tokens[static_cast<std::size_t>(row)]);
      rows.batch.genes.push_back(all.batch.genes[static_cast<std::size_t>(row)]);
    }
    rows.batch.offsets.push_back(static_cast<std::int32_t>(rows.batch.tokens.size()));
  }
  rows.batch.cellIndex = ofCells(all.batch.cellIndex, cells);
  rows.keys = ofCells(all.keys, cells);
  rows.hidden = ofCells(all.hidden, cells);
  rows.measured = ofCells(all.measured, cells);
  rows.visibleTotal = ofCells(all.visibleTotal, cells);
  rows.visibleShare = ofCells(all.visibleShare, cells);
  rows.total = ofCells(all.total, cells);
  rows.depth = ofCells(all.depth, cells);
  rows.numbers = ofCells(all.numbers, cells, conditions(config, false));
  rows.labels = ofCells(all.labels, cells, conditions(config, true));
  rows.summary = ofCells(all.summary, cells, static_cast<std::size_t>(config.summary));
  return input;
}

const std::vector<CountCell>& unlikeCells() {
  static const std::vector<CountCell> cells = {{20, 9}, {0, 7}, {13, 1}, {31, 0}, {0, 0}, {1, 60}, {70, 33}};
  return cells;
}

const std::vector<CountCell>& fewUnlikeCells() {
  static const std::vector<CountCell> cells = {{6, 5}, {0, 7}, {13, 1}, {9, 0}, {0, 0}, {1, 8}};
  return onGpu() ? cells : unlikeCells();
}

bool onGpu() { return threadsUnderTest().size() == 1; }

void checkSame(std::span<const float> actual, std::span<const float> expected, DType type,
               std::source_location where) {
  if (onGpu())
    checkRelative(actual, expected, type == DType::f32 ? 1e-5 : 0.02, where);
  else
    checkSameBits(actual, expected, where);
}

}  // namespace ddsc::test
