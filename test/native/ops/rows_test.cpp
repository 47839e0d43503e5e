#include <algorithm>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// Every third or so of `rows` row numbers, ascending.
std::vector<std::int32_t> someRows(std::int64_t rows) {
  std::vector<std::int32_t> index;
  const std::vector<float> coin = randomValues(1, rows);
  for (std::int64_t row = 0; row < rows; ++row)
    if (coin[static_cast<std::size_t>(row)] < -0.3f) index.push_back(static_cast<std::int32_t>(row));
  return index;
}

const PerInstructionSet gatherAndScatter(
    "gathered rows are the ones named, and scattered ones return to their places among zeros",
    [](Backend& backend, DType type) {
      for (const std::int64_t rows : {0, 1, 5, 300})
        for (const std::int64_t cols : {1, 54}) {
          const Tensor source = Tensor::random(2, rows, cols, type, 1, 3);
          const std::vector<std::int32_t> index = someRows(rows);
          const auto count = static_cast<std::int64_t>(index.size());
          Tensor gathered(count, cols, type, 2), scattered(rows, cols, type, 5);
          backend.run(GatherRows{source.view(), {index.data(), count}, gathered.view()});
          backend.run(ScatterRows{gathered.view(), {index.data(), count}, scattered.view()});
          for (std::int64_t i = 0; i < count; ++i)
            for (std::int64_t col = 0; col < cols; ++col)
              checkEqual(gathered.at(i, col), source.at(index[static_cast<std::size_t>(i)], col));
          for (std::int64_t row = 0; row < rows; ++row) {
            const bool named = std::binary_search(index.begin(), index.end(), static_cast<std::int32_t>(row));
            for (std::int64_t col = 0; col < cols; ++col)
              checkEqual(scattered.at(row, col), named ? source.at(row, col) : 0.0f);
          }
          gathered.checkGaps();
          scattered.checkGaps();
        }
    });

const PerInstructionSet addRows("rows are added to the ones named, and the others stay",
                                [](Backend& backend, DType type) {
                                  for (const std::int64_t rows : {0, 1, 5, 300})
                                    for (const std::int64_t cols : {1, 54}) {
                                      const std::vector<std::int32_t> index = someRows(rows);
                                      const auto count = static_cast<std::int64_t>(index.size());
                                      const Tensor source = Tensor::random(3, count, cols, type, 1, 2);
                                      const Tensor before = Tensor::random(4, rows, cols, type, 1, 3);
                                      Tensor out = Tensor::random(4, rows, cols, type, 1, 3);
                                      backend.run(AddRows{source.view(), {index.data(), count}, out.view()});
                                      Tensor expected = Tensor::random(4, rows, cols, type);
                                      for (std::int64_t i = 0; i < count; ++i)
                                        for (std::int64_t col = 0; col < cols; ++col) {
                                          const std::int64_t row = index[static_cast<std::size_t>(i)];
                                          expected.set(row, col, before.at(row, col) + source.at(i, col));
                                        }
                                      checkSameBits(out.values(), expected.values());
                                      out.checkGaps();
                                    }
                                });

}  // namespace
}  // namespace ddsc::test
