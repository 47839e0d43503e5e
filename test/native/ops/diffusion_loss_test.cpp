#include <algorithm>
#include <cmath>
#include <string>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

using Doubles = std::vector<double>;

constexpr double kSteps = 1000;

double logSumExp(const Doubles& logits, std::size_t first, std::size_t last) {
  const double highest = *std::max_element(logits.begin() + static_cast<std::ptrdiff_t>(first),
                                           logits.begin() + static_cast<std::ptrdiff_t>(last));
  double total = 0;
  for (std::size_t k = first; k < last; ++k) total += std::exp(logits[k] - highest);
  return highest + std::log(total);
}

struct Noise {
  double weight, sigma, time, meanWeight;
};

// The formulas of the papers (and of the reference), one row, in float64.

double subsLoss(const Doubles& logits, std::size_t target) {
  return logSumExp(logits, 0, logits.size() - 1) - logits[target];
}

double d3pmLoss(const Doubles& logits, std::size_t target, double time) {
  const double logTotal = logSumExp(logits, 0, logits.size());
  const double maskProbability = std::exp(logits.back() - logTotal);
  const double dt = 1 / kSteps, t = std::clamp(time, 0.0, 1 - 1e-4);
  const double first = std::log1p((1 - t) * maskProbability / t);
  // At t = dt, the last step, the second logarithm has weight zero.
  const double second = t > dt ? std::log1p((1 - (t - dt)) * maskProbability / (t - dt)) : 0;
  return kSteps * (dt / t * (first - (logits[target] - logTotal)) + (1 - dt / t) * (first - second));
}

double seddLoss(const Doubles& logits, std::size_t target, double sigma) {
  const double shift = std::log(std::expm1(sigma)) + std::log(static_cast<double>(logits.size() - 1));
  const double q = 1 / std::expm1(sigma);
  double positive = 0;
  for (std::size_t k = 0; k + 1 < logits.size(); ++k) positive += std::exp(logits[k] - shift);
  return positive - q * (logits[target] - shift) + q * (std::log(q) - 1);
}

double meanLoss(const Doubles& logits, std::size_t target, std::size_t firstValue) {
  const double logTotal = logSumExp(logits, firstValue, logits.size() - 1);
  double expected = 0;
  for (std::size_t k = firstValue; k + 1 < logits.size(); ++k)
    expected += std::exp(logits[k] - logTotal) * static_cast<double>(k);
  return std::abs(expected - static_cast<double>(target));
}

double mainLoss(Objective objective, const Doubles& logits, std::size_t target, const Noise& noise) {
  switch (objective) {
    case Objective::subs: return noise.weight * subsLoss(logits, target);
    case Objective::d3pm: return noise.weight * d3pmLoss(logits, target, noise.time);
    case Objective::sedd: return noise.weight * seddLoss(logits, target, noise.sigma);
  }
  return 0;
}

/// A loss op's operands.
struct Problem {
  RaggedBatch cells;
  Tensor logits;
  std::vector<std::int32_t> target;
  Tensor weight, sigma, time, meanWeight;
  std::int32_t firstValue = 2;

  Problem(const std::vector<std::int32_t>& lengths, std::int64_t vocabulary, float scale)
      : cells(lengths),
        logits(Tensor::random(1, cells.rows(), vocabulary, DType::f32, scale, 3)),
        weight(1, cells.cells()),
        sigma(1, cells.cells()),
        time(1, cells.cells()),
        meanWeight(1, cells.cells()) {
    for (const float value : randomValues(2, cells.rows()))  // specials below firstValue included
      target.push_back(static_cast<std::int32_t>((value + 1) / 2 * static_cast<float>(vocabulary - 1)));
    for (std::int64_t cell = 0; cell < cells.cells(); ++cell) {
      const float t = (static_cast<float>(cell) + 0.5f) / static_cast<float>(cells.cells());
      weight.set(0, cell, 1 + t);
      sigma.set(0, cell, -std::log1p(-0.999f * t));
      time.set(0, cell, t);
      meanWeight.set(0, cell, 0.5f * t);
    }
  }
  Noise noiseOf(std::int64_t row) const {
    const std::int32_t cell = cells.view().cell[row];
    const auto read = [cell](const Tensor& tensor) { return static_cast<double>(tensor.at(0, cell)); };
    return {read(weight), read(sigma), read(time), read(meanWeight)};
  }
  Doubles row(std::int64_t index) const {
    const Doubles all = logits.doubles();
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(index * logits.cols());
    return {begin, begin + static_cast<std::ptrdiff_t>(logits.cols())};
  }
};

struct Results {
  Tensor loss, meanLoss, dlogits;
};

Results lossesOf(Backend& backend, Problem& p, Objective objective, bool withMean, DType type,
                 float gradientScale = 1) {
  const std::int64_t rows = p.cells.rows();
  Results r{Tensor(1, rows), Tensor(1, rows), Tensor(rows, p.logits.cols(), type, 2)};
  backend.run(DiffusionLoss{.objective = objective,
                            .logits = p.logits.view(),
                            .target = {p.target.data(), rows},
                            .cell = p.cells.view().cell,
                            .noise = {p.weight.span(), p.sigma.span(), p.time.span(),
                                      withMean ? p.meanWeight.span() : Span<float>{}},
                            .steps = kSteps,
                            .firstValue = p.firstValue,
                            .gradientScale = gradientScale,
                            .loss = r.loss.span(),
                            .meanLoss = withMean ? r.meanLoss.span() : Span<float>{},
                            .dlogits = r.dlogits.view()});
  r.dlogits.checkGaps();
  return r;
}

/// Compares the losses with the formulas and every gradient element with their central difference.
void checkProblem(Backend& backend, Problem& p, Objective objective, bool withMean, DType type) {
  const float gradientScale = 0.25f;
  const Results r = lossesOf(backend, p, objective, withMean, type, gradientScale);
  Doubles loss, mean, gradient;
  for (std::int64_t row = 0; row < p.cells.rows(); ++row) {
    Doubles logits = p.row(row);
    const Noise noise = p.noiseOf(row);
    const auto target = static_cast<std::size_t>(p.target[static_cast<std::size_t>(row)]);
    const auto first = static_cast<std::size_t>(p.firstValue);
    loss.push_back(mainLoss(objective, logits, target, noise));
    mean.push_back(noise.meanWeight * meanLoss(logits, target, first));
    const auto total = [&] {
      return mainLoss(objective, logits, target, noise) +
             (withMean ? noise.meanWeight * meanLoss(logits, target, first) : 0);
    };
    const double step = 1e-4;
    for (double& logit : logits) {
      const double held = logit;
      logit = held + step;
      const double above = total();
      logit = held - step;
      const double below = total();
      logit = held;
      gradient.push_back(static_cast<double>(gradientScale) * (above - below) / (2 * step));
    }
  }
  checkAgainst(r.loss.values(), loss, 1e-6);
  if (withMean) checkAgainst(r.meanLoss.values(), mean, 1e-6);
  checkAgainst(r.dlogits.values(), gradient, tolerance(type, 2e-6));
}

struct Shape {
  std::vector<std::int32_t> lengths;
  std::int64_t vocabulary;
};
const std::vector<Shape> kShapes = {{{}, 54},    {{1}, 54}, {{30, 0, 41}, 54},
                                    {{5, 4}, 7}, {{3}, 19}, {{9}, 34}};

void checkObjective(Backend& backend, Objective objective, DType type) {
  for (const auto& [lengths, vocabulary] : kShapes)
    for (const bool withMean : {false, true})
      for (const float scale : {2.0f, 12.0f}) {
        Problem p(lengths, vocabulary, scale);
        checkProblem(backend, p, objective, withMean, type);
      }
}

const PerInstructionSet subs("the SUBS loss and its gradient agree with the formula",
                             [](Backend& backend, DType type) {
                               checkObjective(backend, Objective::subs, type);
                             });
const PerInstructionSet d3pm("the D3PM loss and its gradient agree with the formula",
                             [](Backend& backend, DType type) {
                               checkObjective(backend, Objective::d3pm, type);
                             });
const PerInstructionSet sedd("the SEDD loss and its gradient agree with the formula",
                             [](Backend& backend, DType type) {
                               checkObjective(backend, Objective::sedd, type);
                             });

const PerInstructionSet smallNoise(
    "the SEDD loss holds at the smallest and largest noise, relative to its terms",
    [](Backend& backend, DType) {
      for (const float sigma : {1e-6f, 1e-3f, 7.0f, 60.0f}) {
        Problem p({6}, 54, 3);
        p.sigma.fill(sigma);
        const Results r = lossesOf(backend, p, Objective::sedd, false, DType::f32);
        Doubles expected;
        for (std::int64_t row = 0; row < 6; ++row) {
          const auto target = static_cast<std::size_t>(p.target[static_cast<std::size_t>(row)]);
          expected.push_back(mainLoss(Objective::sedd, p.row(row), target, p.noiseOf(row)));
        }
        checkAgainst(r.loss.values(), expected, 2e-6);
      }
    },
    {DType::f32});

const PerInstructionSet edgeTimes(
    "the D3PM loss is defined at its first and last step",
    [](Backend& backend, DType) {
      for (const float time : {0x1.0624dep-10f, 0.002f, 0.9999f, 1.0f}) {  // the first a hair above 1 / T
        Problem p({6}, 54, 3);
        p.time.fill(time);
        checkProblem(backend, p, Objective::d3pm, false, DType::f32);
      }
      for (const float time : {0.0f, 0.001f}) {
        Problem p({6}, 54, 3);
        p.time.fill(time);
        const Results r = lossesOf(backend, p, Objective::d3pm, false, DType::f32);
        for (std::int64_t row = 0; row < 6; ++row) {
          const auto target = static_cast<std::size_t>(p.target[static_cast<std::size_t>(row)]);
          const double expected = mainLoss(Objective::d3pm, p.row(row), target, {1.5, 0, 1 / kSteps, 0});
          checkClose(static_cast<double>(r.loss.at(0, row)) / expected, 1, 1e-5);
        }
      }
    },
    {DType::f32});

const PerInstructionSet lopsided(
    "losses stay exact where a special token or the mask holds nearly all the mass",
    [](Backend& backend, DType) {
      for (const Objective objective : {Objective::subs, Objective::d3pm})
        for (const std::int64_t heavy : {0, 53}) {
          Problem p({8}, 54, 3);
          for (std::int64_t row = 0; row < 8; ++row) p.logits.set(row, heavy, 150);
          checkProblem(backend, p, objective, true, DType::f32);
        }
    },
    {DType::f32});

const PerInstructionSet maskLogit(
    "SUBS pays no attention to the mask token's logit",
    [](Backend& backend, DType) {
      Problem p({8}, 54, 3);
      const std::vector<float> before =
          lossesOf(backend, p, Objective::subs, true, DType::f32).dlogits.values();
      for (std::int64_t row = 0; row < 8; ++row) p.logits.set(row, 53, 1000);
      checkSameBits(lossesOf(backend, p, Objective::subs, true, DType::f32).dlogits.values(), before);
    },
    {DType::f32});

const PerInstructionSet lossOnly(
    "the loss is the same when no gradient is wanted",
    [](Backend& backend, DType) {
      Problem p({8}, 54, 3);
      const Results with = lossesOf(backend, p, Objective::subs, false, DType::f32);
      Tensor loss(1, 8);
      backend.run(
          DiffusionLoss{.logits = p.logits.view(),
                        .target = {p.target.data(), 8},
                        .cell = p.cells.view().cell,
                        .noise = {.weight = p.weight.span(), .sigma = {}, .time = {}, .meanWeight = {}},
                        .loss = loss.span(),
                        .meanLoss = {},
                        .dlogits = {}});
      checkSameBits(loss.values(), with.loss.values());
    },
    {DType::f32});

const PerInstructionSet notFinite("a logit that is not a number makes its row's loss one",
                                  [](Backend& backend, DType) {
                                    Problem p({8}, 54, 3);
                                    p.logits.set(3, 20, std::nanf(""));
                                    const Results r =
                                        lossesOf(backend, p, Objective::subs, false, DType::f32);
                                    for (std::int64_t row = 0; row < 8; ++row)
                                      checkEqual(std::isnan(r.loss.at(0, row)), row == 3);
                                  },
                                  {DType::f32});

DDSC_TEST("the diffusion loss has the same bits with any number of threads") {
  for (const Objective objective : {Objective::subs, Objective::d3pm, Objective::sedd})
    checkThreadsAgree([objective](Backend& backend) {
      Problem p({130, 1, 90}, 54, 4);
      const Results r = lossesOf(backend, p, objective, true, DType::f32);
      std::vector<float> all = r.dlogits.values();
      for (const Tensor* tensor : {&r.loss, &r.meanLoss})
        for (const float value : tensor->values()) all.push_back(value);
      return all;
    });
}

}  // namespace
}  // namespace ddsc::test
