#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

const PerInstructionSet sums(
    "a cell's condition is the sum of its terms, numbers and labels, and silu of it",
    [](Backend& backend, DType) {
      constexpr std::int64_t kNumbers = 9, kLabels = 6;
      for (const std::int64_t cells : {0, 1, 7})
        for (const std::int64_t terms : {0, 1, 5})
          for (const std::int64_t width : {1, 30, 512}) {
            const Tensor numbers = Tensor::random(1, kNumbers, width, DType::f32, 4, 3);
            const Tensor labels = Tensor::random(2, kLabels, width, DType::f32, 4, 1);
            std::vector<std::int32_t> ids;
            for (const float value : randomValues(3, cells * terms))
              ids.push_back(static_cast<std::int32_t>(
                  value < 0 ? std::floor(value * static_cast<float>(kLabels))  // -1 .. -6
                            : std::floor(value * static_cast<float>(kNumbers))));
            Tensor pre(cells, width, DType::f32, 2), y(cells, width, DType::f32, 5);
            backend.run(ConditionSum{numbers.view(),
                                     labels.view(),
                                     {ids.data(), static_cast<std::int64_t>(ids.size())},
                                     pre.view(),
                                     y.view()});
            std::vector<double> sum, bent;
            for (std::int64_t cell = 0; cell < cells; ++cell)
              for (std::int64_t col = 0; col < width; ++col) {
                double total = 0;
                for (std::int64_t term = 0; term < terms; ++term) {
                  const std::int32_t id = ids[static_cast<std::size_t>(cell * terms + term)];
                  total += static_cast<double>(id >= 0 ? numbers.at(id, col) : labels.at(-1 - id, col));
                }
                sum.push_back(total);
                bent.push_back(total / (1 + std::exp(-total)));
              }
            checkAgainst(pre.values(), sum, 1e-6);
            checkAgainst(y.values(), bent, 1e-6);
            pre.checkGaps();
            y.checkGaps();
          }
    },
    {DType::f32});

const PerInstructionSet oneKind("a condition may be of numbers alone or of labels alone",
                                [](Backend& backend, DType) {
                                  const Tensor table = Tensor::random(1, 2, 12);
                                  for (const std::int32_t id : {1, -2}) {
                                    Tensor pre(1, 12), y(1, 12);
                                    ConditionSum op;
                                    (id >= 0 ? op.numbers : op.labels) = table.view();
                                    op.terms = {&id, 1};
                                    op.pre = pre.view();
                                    op.y = y.view();
                                    backend.run(op);
                                    for (std::int64_t col = 0; col < 12; ++col)
                                      checkEqual(pre.at(0, col), table.at(1, col));
                                  }
                                },
                                {DType::f32});

}  // namespace
}  // namespace ddsc::test
