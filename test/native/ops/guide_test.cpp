#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

const PerInstructionSet guided("guidance moves numbers away from those without conditions by a factor",
                               [](Backend& backend, DType) {
                                 for (const auto& [rows, cols] :
                                      {std::pair{0, 7}, {1, 1}, {3, 19}, {130, 236}}) {
                                   const Tensor null = Tensor::random(1, rows, cols, DType::f32, 1, 3);
                                   const Tensor given = Tensor::random(2, rows, cols, DType::f32, 1, 3);
                                   for (const float gamma : {-0.5f, 0.0f, 1.0f, 2.5f}) {
                                     Tensor y = given;
                                     backend.run(Guide{null.view(), gamma, y.view()});
                                     for (std::int64_t row = 0; row < rows; ++row)
                                       for (std::int64_t col = 0; col < cols; ++col) {
                                         const auto without = static_cast<double>(null.at(row, col)),
                                                    with = static_cast<double>(given.at(row, col));
                                         checkClose(static_cast<double>(y.at(row, col)),
                                                    without + static_cast<double>(gamma) * (with - without),
                                                    2e-6);
                                       }
                                   }
                                 }
                               },
                               {DType::f32});

}  // namespace
}  // namespace ddsc::test
