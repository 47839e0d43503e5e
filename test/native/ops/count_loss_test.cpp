#include "cpu/cpu_backend.h"
#include "test/native/instruction_sets.h"
#include "test/native/ops/count_rows.h"

namespace ddsc::test {
namespace {

struct Results {
  Tensor loss, logProbability, dlogits, dtilt, dlogSize;
};

/// `rowLogSize`: logarithms of sizes by row, in place of the genes' own.
Results lossesOf(Backend& backend, CountRows& p, DType type, float gradientScale = 1,
                 const std::vector<float>& rowLogSize = {}) {
  Results r{Tensor(1, p.rows()), Tensor(1, p.rows()), Tensor(p.rows(), p.logits.cols(), type, 2),
            Tensor(1, p.rows()), Tensor(1, p.rows())};
  r.dlogits.fill(3);
  backend.run(CountLoss{.logits = p.logits.view(),
                        .base = p.base(),
                        .firstValue = p.firstValue,
                        .target = {p.target.data(), p.rows()},
                        .weight = p.weight.span(),
                        .gradientScale = gradientScale,
                        .loss = r.loss.span(),
                        .logProbability = r.logProbability.span(),
                        .dlogits = r.dlogits.view(),
                        .dtilt = r.dtilt.span(),
                        .logSize = {p.logSize.data(), static_cast<std::int64_t>(p.logSize.size())},
                        .dlogSize = r.dlogSize.span(),
                        .rowLogSize = {rowLogSize.data(), static_cast<std::int64_t>(rowLogSize.size())}});
  r.dlogits.checkGaps();
  return r;
}

/// Checks a gradient of a logit: what is nearer to 0 than any that counts is 0.
void checkGradient(float actual, long double expected, long double tolerance) {
  const auto least = static_cast<long double>(kLeastGradient);
  check(actual == 0 || std::abs(static_cast<long double>(actual)) >= least, "a gradient is too small");
  // Just there, rounding decides.
  const bool mayBeZero = std::abs(expected) < least * (1 + tolerance);
  if (actual != 0 || !mayBeZero) checkEach(static_cast<long double>(actual), expected, tolerance);
}

/// Checks a row's results against the formulas, each to `tolerance` of itself, gradients of logits to
/// `ofGradient`.
void checkRow(const CountRows& p, const Results& r, std::int64_t row, long double gradientScale,
              long double tolerance, long double ofGradient) {
  const Reals logP = p.logProbabilities(row);
  const std::size_t target = p.targetOf(row);
  const auto weight = static_cast<long double>(p.weight.at(0, row));
  checkEach(static_cast<long double>(r.logProbability.at(0, row)), logP[target], tolerance);
  checkEach(static_cast<long double>(r.loss.at(0, row)), -weight * logP[target], tolerance);

  const long double size = p.sizeOf(row), mean = p.meanOf(row, p.tiltOf(row));
  const long double share = size / (size + mean),
                    middle = p.counts.middle()[static_cast<std::int64_t>(target)];
  long double others = 0, moment = 0, magnitude = 0, sizeMoment = 0, sizeMagnitude = 0;
  for (std::size_t value = 0; value < logP.size(); ++value) {
    const long double probability = std::exp(logP[value]);
    const auto at = static_cast<std::int64_t>(value);
    const long double distance = middle - static_cast<long double>(p.counts.middle()[at]);
    moment += probability * distance;
    magnitude += probability * std::abs(distance);
    const long double slope = size * (digamma(middle + size) - digamma(middle - distance + size));
    sizeMoment += probability * (slope - share * distance);
    sizeMagnitude += probability * (std::abs(slope) + share * std::abs(distance));
    if (value == target) continue;
    others += probability;
    checkGradient(r.dlogits.at(row, p.firstValue + at), gradientScale * weight * probability, ofGradient);
  }
  checkGradient(r.dlogits.at(row, p.firstValue + p.target[static_cast<std::size_t>(row)]),
                -gradientScale * weight * others, ofGradient);
  for (std::int64_t col = 0; col < p.logits.cols(); ++col)
    if (col < p.firstValue || col >= p.firstValue + p.counts.values())
      checkEqual(r.dlogits.at(row, col), 0.0f);

  const bool moves = std::abs(p.tiltOf(row)) <= 6 && mean > 1e-8L;
  const long double slope = moves ? -gradientScale * weight * share : 0;
  checkEach(static_cast<long double>(r.dtilt.at(0, row)), slope * moment, tolerance,
            std::abs(slope) * magnitude);
  // What cancels loses the last bits of its doubles.
  const long double scale = std::abs(p.logSizeOf(row)) <= 5 ? -gradientScale * weight : 0;
  checkClose(static_cast<double>(static_cast<long double>(r.dlogSize.at(0, row)) - scale * sizeMoment), 0,
             static_cast<double>(
                 std::abs(scale) * (tolerance * std::abs(sizeMoment) + 1e-13L * sizeMagnitude) + 1.5e-38L));
}

const CountValues kFew(3, 2, 60);  // not whole vectors

const PerInstructionSet formula(
    "the count loss, log-probabilities and gradients agree with the formulas, each relative to itself",
    [](Backend& backend, DType type) {
      for (const CountValues& values : {CountValues(), kFew, CountValues(1, 1, 1)})
        for (const float scale : {0.0f, 3.0f, 30.0f})
          for (const std::vector<std::int32_t>& lengths :
               std::vector<std::vector<std::int32_t>>{{}, {1}, {30, 0, 25, 9}}) {
            CountRows p(lengths, scale, values);
            const Results r = lossesOf(backend, p, type, 0.25f);
            for (std::int64_t row = 0; row < p.rows(); ++row)
              checkRow(p, r, row, 0.25L, 2e-7L, type == DType::f32 ? 2e-7L : 0x1.02p-8L);
          }
    });

const PerInstructionSet differences(
    "the count loss' gradients agree with the differences of the loss",
    [](Backend& backend, DType) {
      CountRows p({7, 5}, 2);
      for (std::size_t row = 0; row < 12; ++row) p.gene[row] = 10 + static_cast<std::int32_t>(row);
      const Results r = lossesOf(backend, p, DType::f32);
      for (std::int64_t row = 0; row < p.rows(); ++row) {
        const std::size_t target = p.targetOf(row);
        const auto weight = static_cast<long double>(p.weight.at(0, row));
        const long double step = 1e-5L;
        for (const std::size_t value : {std::size_t{0}, std::size_t{1}, target, std::size_t{90}}) {
          Reals above = p.logitsOf(row), below = above;
          above[value] += step;
          below[value] -= step;
          const long double difference = p.logProbabilities(row, below, p.tiltOf(row))[target] -
                                         p.logProbabilities(row, above, p.tiltOf(row))[target];
          checkClose(static_cast<double>(r.dlogits.at(row, p.firstValue + static_cast<std::int64_t>(value))),
                     static_cast<double>(weight * difference / (2 * step)), 1e-6);
        }
        if (std::abs(p.tiltOf(row)) >= 6) continue;
        // The base moves by the step times the count.
        const long double tilt = p.tiltOf(row);
        const long double small =
            1e-4L / (1 + p.meanOf(row, tilt) + p.counts.middle()[p.target[static_cast<std::size_t>(row)]]);
        const long double difference = p.logProbabilities(row, p.logitsOf(row), tilt - small)[target] -
                                       p.logProbabilities(row, p.logitsOf(row), tilt + small)[target];
        const long double expected = weight * difference / (2 * small);
        checkEach(static_cast<long double>(r.dtilt.at(0, row)), expected, 1e-5L, 1);
      }
    },
    {DType::f32});

const PerInstructionSet sizeDifferences(
    "the count loss' gradient by log size agrees with the differences of the loss, also near zero",
    [](Backend& backend, DType) {
      CountRows p({300, 300}, 2);
      const Results r = lossesOf(backend, p, DType::f32);
      int compared = 0;
      for (std::int64_t row = 0; row < p.rows(); ++row) {
        if (std::abs(p.logSizeOf(row)) >= 5) continue;
        const std::size_t target = p.targetOf(row);
        const auto weight = static_cast<long double>(p.weight.at(0, row));
        const auto logP = [&](long double step) {
          return p.logProbabilities(row, p.logitsOf(row), p.tiltOf(row), p.logSizeOf(row) + step)[target];
        };
        const long double step = 1e-5L;
        const long double expected = weight * (logP(-step) - logP(step)) / (2 * step);
        checkEach(static_cast<long double>(r.dlogSize.at(0, row)), expected, 1e-5L, 1e-3L);
        ++compared;
      }
      check(compared > 200, "too few rows were compared");
    },
    {DType::f32});

const PerInstructionSet sizeClamps("a clamped logarithm of a size has no gradient, and one at the clamp has",
                                   [](Backend& backend, DType) {
                                     for (const float logSize :
                                          {-1000.0f, -5.001f, -5.0f, 4.9f, 5.0f, 5.001f, 1000.0f}) {
                                       CountRows p({2}, 1);
                                       p.gene = {14, 14};
                                       p.target = {3, 0};
                                       p.logSize[14] = logSize;
                                       const Results r = lossesOf(backend, p, DType::f32);
                                       for (std::int64_t row = 0; row < 2; ++row) {
                                         checkEqual(r.dlogSize.at(0, row) == 0, std::abs(logSize) > 5);
                                         check(std::isfinite(r.loss.at(0, row)), "the loss is not finite");
                                       }
                                     }
                                   },
                                   {DType::f32});

const PerInstructionSet rowClamps(
    "where rows have logarithms of sizes of their own, these say which sizes are clamped",
    [](Backend& backend, DType) {
      CountRows p({40}, 1);
      const Results genes = lossesOf(backend, p, DType::f32);
      std::vector<float> own;
      for (std::int64_t row = 0; row < p.rows(); ++row) own.push_back(static_cast<float>(p.logSizeOf(row)));
      checkSameBits(lossesOf(backend, p, DType::f32, 1, own).dlogSize.values(), genes.dlogSize.values());
      std::fill(own.begin(), own.end(), 5.001f);
      own[3] = 5;
      p.logSize.assign(p.logSize.size(), 0);
      const Results rows = lossesOf(backend, p, DType::f32, 1, own);
      for (std::int64_t row = 0; row < p.rows(); ++row) checkEqual(rows.dlogSize.at(0, row) == 0, row != 3);
    },
    {DType::f32});

/// One row of a gene of this mean and size, with logits of 0.
CountRows untrained(double mean, double size, std::int32_t target) {
  CountRows p({1}, 0);
  p.share[0] = mean / p.depth[0];
  p.size[0] = size;
  p.gene[0] = 0;
  p.target[0] = target;
  p.tilt.set(0, 0, 0);
  return p;
}

const PerInstructionSet extremes(
    "an untrained network gives the negative binomial, from means of 1e-8 to 50,000 and sizes of 0.01 to 100",
    [](Backend& backend, DType) {
      for (const double mean : {0.0, 1.01e-8, 1e-5, 0.03, 1.0, 700.0, 50'000.0})
        for (const double size : {0.01, 1.0, 100.0})
          for (const std::int64_t count : {0, 1, 63, 70, 5000, 1 << 20}) {
            CountRows p = untrained(mean, size, CountValues().valueOf(count));
            const Results r = lossesOf(backend, p, DType::f32);
            checkRow(p, r, 0, 1, 2e-7L, 2e-7L);
          }
    },
    {DType::f32});

const PerInstructionSet certain(
    "a nearly certain value's log-probability and gradient keep their relative accuracy",
    [](Backend& backend, DType) {
      for (const double mean : {1e-3, 1e-5, 1e-8}) {
        CountRows p = untrained(mean, 1, 0);
        const Results r = lossesOf(backend, p, DType::f32);
        // The geometric distribution, but for what the bins' middles change beyond count 63.
        const double expected = std::log1p(mean);
        const double weight = static_cast<double>(p.weight.at(0, 0));
        checkClose(static_cast<double>(r.logProbability.at(0, 0)) / -expected, 1, 2e-7);
        checkClose(static_cast<double>(r.dlogits.at(0, 2)) / (-weight * mean / (1 + mean)), 1, 2e-7);
        if (mean > 1e-8)
          checkClose(static_cast<double>(r.dtilt.at(0, 0)) / (weight * mean / (1 + mean)), 1, 2e-7);
      }
    },
    {DType::f32});

const PerInstructionSet clamps(
    "a clamped tilt and a clamped mean have no gradient, and a tilt at the clamp has",
    [](Backend& backend, DType) {
      for (const float tilt : {-1000.0f, -6.001f, -6.0f, 5.9f, 6.0f, 6.001f, 1000.0f}) {
        CountRows p = untrained(0.5, 2, 3);
        p.tilt.set(0, 0, tilt);
        checkEqual(lossesOf(backend, p, DType::f32).dtilt.at(0, 0) == 0, std::abs(tilt) > 6);
      }
      CountRows p = untrained(1e-9, 2, 3);
      checkEqual(lossesOf(backend, p, DType::f32).dtilt.at(0, 0), 0.0f);
    },
    {DType::f32});

const PerInstructionSet lossOnly("the count loss is the same when no gradient is wanted",
                                 [](Backend& backend, DType) {
                                   CountRows p({40}, 3);
                                   const Results with = lossesOf(backend, p, DType::f32);
                                   Tensor loss(1, 40), logProbability(1, 40);
                                   backend.run(CountLoss{.logits = p.logits.view(),
                                                         .base = p.base(),
                                                         .target = {p.target.data(), 40},
                                                         .weight = p.weight.span(),
                                                         .loss = loss.span(),
                                                         .logProbability = logProbability.span(),
                                                         .dlogits = {},
                                                         .dtilt = {},
                                                         .logSize = {},
                                                         .dlogSize = {}});
                                   checkSameBits(loss.values(), with.loss.values());
                                   checkSameBits(logProbability.values(), with.logProbability.values());
                                 },
                                 {DType::f32});

const PerInstructionSet notFinite("a logit or a tilt that is not a number makes its row's count loss one",
                                  [](Backend& backend, DType) {
                                    for (const std::int64_t value : {0, 8, 100, 176}) {
                                      CountRows p({8}, 3);
                                      p.logits.set(3, p.firstValue + value, std::nanf(""));
                                      p.tilt.set(0, 5, std::nanf(""));
                                      p.logits.set(6, 0, std::nanf(""));  // no value's
                                      const Results r = lossesOf(backend, p, DType::f32);
                                      for (std::int64_t row = 0; row < 8; ++row)
                                        checkEqual(std::isnan(r.loss.at(0, row)), row == 3 || row == 5);
                                    }
                                  },
                                  {DType::f32});

DDSC_TEST("the count loss has the same bits with any number of threads and any instruction set") {
  std::vector<float> expected;
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 3}) {
      const auto backend = cpu::makeCpuBackend(instructionSet, threads);
      std::vector<float> all;
      for (const DType type : {DType::f32, DType::bf16}) {
        CountRows p({70, 1, 50}, 4);
        const Results r = lossesOf(*backend, p, type);
        for (const Tensor* tensor : {&r.loss, &r.logProbability, &r.dlogits, &r.dtilt, &r.dlogSize})
          for (const float value : tensor->values()) all.push_back(value);
      }
      if (expected.empty()) expected = all;
      checkSameBits(all, expected);
    }
}

}  // namespace
}  // namespace ddsc::test
