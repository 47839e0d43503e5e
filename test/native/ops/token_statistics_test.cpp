#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

struct Results {
  std::vector<std::int32_t> best;
  Tensor bestProbability, expectedToken, targetLogProbability;
};

Results statisticsOf(Backend& backend, const Tensor& logits, const std::vector<std::int32_t>& target) {
  const std::int64_t rows = logits.rows();
  Results r{std::vector<std::int32_t>(static_cast<std::size_t>(rows)), Tensor(1, rows), Tensor(1, rows),
            Tensor(1, rows)};
  const bool withTarget = !target.empty();
  backend.run(
      TokenStatistics{.logits = logits.view(),
                      .target = {target.data(), withTarget ? rows : 0},
                      .targetLogProbability = withTarget ? r.targetLogProbability.span() : Span<float>{},
                      .best = {r.best.data(), rows},
                      .bestProbability = r.bestProbability.span(),
                      .expectedToken = r.expectedToken.span()});
  return r;
}

const PerInstructionSet statistics(
    "token statistics agree with float64",
    [](Backend& backend, DType) {
      for (const std::int64_t vocabulary : {4, 7, 54})
        for (const std::int64_t rows : {0, 1, 70}) {
          const Tensor logits = Tensor::random(1, rows, vocabulary, DType::f32, 6, 3);
          std::vector<std::int32_t> target;
          std::vector<double> best, expected, logTarget;
          for (std::int64_t row = 0; row < rows; ++row) {
            target.push_back(static_cast<std::int32_t>(row % (vocabulary - 1)));
            const auto weight = [&](std::int64_t k) {
              return std::exp(static_cast<double>(logits.at(row, k)));
            };
            double values = 0, moment = 0, all = 0, highest = 0;
            for (std::int64_t k = 0; k < vocabulary - 1; ++k) all += weight(k);
            for (std::int64_t k = 2; k < vocabulary - 1; ++k) {
              values += weight(k);
              moment += weight(k) * static_cast<double>(k);
              highest = std::max(highest, weight(k));
            }
            best.push_back(highest / values);
            expected.push_back(moment / values);
            logTarget.push_back(std::log(weight(target.back()) / all));
          }
          const Results r = statisticsOf(backend, logits, target);
          checkAgainst(r.bestProbability.values(), best, 1e-6);
          checkAgainst(r.expectedToken.values(), expected, 1e-6);
          if (rows > 0) checkAgainst(r.targetLogProbability.values(), logTarget, 1e-6);
          for (std::int64_t row = 0; row < rows; ++row)
            for (std::int64_t k = 2; k < vocabulary - 1; ++k)
              check(logits.at(row, r.best[static_cast<std::size_t>(row)]) >= logits.at(row, k),
                    "not the best value");
        }
    },
    {DType::f32});

const PerInstructionSet notFinite(
    "a row with a value's logit that is no finite number gets NaN for all but its best value",
    [](Backend& backend, DType) {
      for (const float bad : {std::nanf(""), INFINITY, -INFINITY})
        for (const std::int64_t place : {2, 31, 52}) {
          Tensor logits = Tensor::random(1, 3, 54, DType::f32, 6, 3);
          logits.set(1, place, bad);
          const Results r = statisticsOf(backend, logits, {5, 5, 5});
          for (std::int64_t row = 0; row < 3; ++row) {
            checkEqual(std::isnan(r.bestProbability.at(0, row)), row == 1);
            checkEqual(std::isnan(r.expectedToken.at(0, row)), row == 1);
            checkEqual(std::isnan(r.targetLogProbability.at(0, row)), row == 1);
          }
        }
    },
    {DType::f32});

const PerInstructionSet ties(
    "of equally probable values the lowest is best, and neither specials nor the mask compete",
    [](Backend& backend, DType) {
      Tensor logits(1, 54);
      logits.fill(1);
      for (const std::int64_t outside : {0, 1, 53}) logits.set(0, outside, 9);
      logits.set(0, 30, 4);
      logits.set(0, 17, 4);
      checkEqual(statisticsOf(backend, logits, {}).best[0], 17);
    },
    {DType::f32});

}  // namespace
}  // namespace ddsc::test
