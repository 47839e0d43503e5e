#include <cmath>

#include "core/bf16.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

struct Shape {
  std::int64_t rows, cols;
};
constexpr Shape kShapes[] = {{0, 4}, {1, 1}, {300, 70}, {2, 50'001}};

const PerInstructionSet shapes("conversion rounds to bf16 and widens exactly, whatever the shape",
                               [](Backend& backend, DType from) {
                                 for (const auto& [rows, cols] : kShapes)
                                   for (const DType to : {DType::f32, DType::bf16}) {
                                     const Tensor in = Tensor::random(1, rows, cols, from, 3, 7);
                                     Tensor out(rows, cols, to, 2);
                                     backend.run(Convert{in.view(), out.view()});
                                     // Tensor::of rounds one element at a time.
                                     checkSameBits(out.values(),
                                                   Tensor::of(in.values(), rows, cols, to).values());
                                     out.checkGaps();
                                   }
                               });

const PerInstructionSet rounding(
    "conversion to bf16 rounds ties to even, keeps infinities and NaN and overflows to infinity",
    [](Backend& backend, DType) {
      const std::vector<float> values = {1.00390625f, 1.01171875f, 0x1.FEp127f, 0x1.FFp127f, -0x1.FFFFFEp127f,
                                         -INFINITY,   -0.0f,       0x1p-149f,   0x1p-133f,   0x1.018p-126f};
      const std::vector<float> expected = {1.0f,      1.015625f, 0x1.FEp127f, INFINITY,  -INFINITY,
                                           -INFINITY, -0.0f,     0.0f,        0x1p-133f, 0x1.02p-126f};
      const auto count = static_cast<std::int64_t>(values.size());
      Tensor out(1, count, DType::bf16), nan(1, 1, DType::bf16);
      backend.run(Convert{Tensor::of(values, 1, count).view(), out.view()});
      checkSameBits(out.values(), expected);
      const Tensor notANumber = Tensor::of({std::nanf("")}, 1, 1);
      backend.run(Convert{notANumber.view(), nan.view()});
      check(std::isnan(nan.at(0, 0)), "NaN was lost");
    },
    {DType::bf16});

}  // namespace
}  // namespace ddsc::test
