#include <cmath>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

const PerInstructionSet features(
    "time features are cosines, then sines, of sigma at rates falling from 1 to 1 / 10000",
    [](Backend& backend, DType) {
      for (const std::int64_t cells : {0, 1, 7})
        for (const std::int64_t half : {1, 5, 128}) {
          Tensor sigma = Tensor::random(1, 1, cells, DType::f32, 7), out(cells, 2 * half, DType::f32, 3);
          std::vector<double> expected;
          for (std::int64_t cell = 0; cell < cells; ++cell)
            for (std::int64_t i = 0; i < 2 * half; ++i) {
              const double rate =
                  std::pow(10000.0, -static_cast<double>(i % half) / static_cast<double>(half));
              const double angle = static_cast<double>(sigma.at(0, cell)) * rate;
              expected.push_back(i < half ? std::cos(angle) : std::sin(angle));
            }
          backend.run(TimeFeatures{sigma.span(), out.view()});
          checkAgainst(out.values(), expected, 1e-7);
          out.checkGaps();
        }
    },
    {DType::f32});

}  // namespace
}  // namespace ddsc::test
