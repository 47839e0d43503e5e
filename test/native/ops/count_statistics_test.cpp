#include "cpu/cpu_backend.h"
#include "test/native/instruction_sets.h"
#include "test/native/ops/count_rows.h"

namespace ddsc::test {
namespace {

struct Statistics {
  Tensor logProbability, below, mean, variance, expressed, logProbabilities;

  explicit Statistics(CountRows& p)
      : logProbability(1, p.rows()),
        below(1, p.rows()),
        mean(1, p.rows()),
        variance(1, p.rows()),
        expressed(1, p.rows()),
        logProbabilities(p.rows(), p.counts.values(), DType::f32, 3) {}
};

Statistics statisticsOf(Backend& backend, CountRows& p) {
  Statistics s(p);
  backend.run(CountStatistics{.logits = p.logits.view(),
                              .base = p.base(),
                              .firstValue = p.firstValue,
                              .target = {p.target.data(), p.rows()},
                              .logProbability = s.logProbability.span(),
                              .below = s.below.span(),
                              .mean = s.mean.span(),
                              .variance = s.variance.span(),
                              .expressed = s.expressed.span(),
                              .logProbabilities = s.logProbabilities.view()});
  s.logProbabilities.checkGaps();
  return s;
}

const PerInstructionSet formulas("statistics of counts agree with the formulas, each relative to itself",
                                 [](Backend& backend, DType) {
                                   const auto read = [](const Tensor& tensor, std::int64_t row) {
                                     return static_cast<long double>(tensor.at(0, row));
                                   };
                                   const long double tolerance = 2e-7L;
                                   for (const CountValues& values : {CountValues(), CountValues(3, 2, 60)})
                                     for (const float scale : {0.0f, 2.0f, 25.0f})
                                       for (const std::vector<std::int32_t>& lengths :
                                            std::vector<std::vector<std::int32_t>>{{}, {1}, {30, 0, 25, 9}}) {
                                         CountRows p(lengths, scale, values);
                                         const Statistics s = statisticsOf(backend, p);
                                         for (std::int64_t row = 0; row < p.rows(); ++row) {
                                           const Reals logP = p.logProbabilities(row);
                                           const std::size_t target = p.targetOf(row);
                                           long double below = 0, expressed = 0, mean = 0, variance = 0;
                                           for (std::size_t value = 0; value < logP.size(); ++value) {
                                             const auto at = static_cast<std::int64_t>(value);
                                             checkEach(
                                                 static_cast<long double>(s.logProbabilities.at(row, at)),
                                                 logP[value], tolerance);
                                             const long double probability = std::exp(logP[value]);
                                             if (value < target) below += probability;
                                             if (value > 0) expressed += probability;
                                             mean += probability * p.counts.middle()[at];
                                           }
                                           for (std::size_t value = 0; value < logP.size(); ++value) {
                                             const long double distance =
                                                 p.counts.middle()[static_cast<std::int64_t>(value)] - mean;
                                             variance += std::exp(logP[value]) * distance * distance;
                                           }
                                           checkEach(read(s.logProbability, row), logP[target], tolerance);
                                           checkEach(read(s.below, row), below, tolerance);
                                           checkEach(read(s.expressed, row), expressed, tolerance);
                                           checkEach(read(s.mean, row), mean, tolerance);
                                           checkEach(read(s.variance, row), variance, tolerance);
                                         }
                                       }
                                 },
                                 {DType::f32});

const PerInstructionSet each("each statistic of counts is the same when it alone is wanted",
                             [](Backend& backend, DType) {
                               CountRows p({40}, 3);
                               const Statistics all = statisticsOf(backend, p);
                               Tensor expressed(1, 40), variance(1, 40), below(1, 40);
                               CountStatistics op;
                               op.logits = p.logits.view();
                               op.base = p.base();
                               op.expressed = expressed.span();
                               backend.run(op);
                               op.expressed = {};
                               op.variance = variance.span();
                               backend.run(op);
                               op.variance = {};
                               op.target = {p.target.data(), 40};
                               op.below = below.span();
                               backend.run(op);
                               checkSameBits(expressed.values(), all.expressed.values());
                               checkSameBits(variance.values(), all.variance.values());
                               checkSameBits(below.values(), all.below.values());
                             },
                             {DType::f32});

DDSC_TEST("statistics of counts have the same bits with any number of threads and any instruction set") {
  std::vector<float> expected;
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 3}) {
      CountRows p({70, 1, 50}, 4);
      const Statistics s = statisticsOf(*cpu::makeCpuBackend(instructionSet, threads), p);
      std::vector<float> all = s.logProbabilities.values();
      for (const Tensor* tensor : {&s.logProbability, &s.below, &s.mean, &s.variance, &s.expressed})
        for (const float value : tensor->values()) all.push_back(value);
      if (expected.empty()) expected = all;
      checkSameBits(all, expected);
    }
}

}  // namespace
}  // namespace ddsc::test
