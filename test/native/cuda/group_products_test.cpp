// Products of four warps against those of one: tiles in number, rings that go round, sums in parts.
#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#include "test/native/cuda/mirror.h"
#include "test/native/environment.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

struct Layer {
  std::int64_t rows, inputs, outputs;
};

/// Output, input gradient, weight gradient and bias gradient in float32, of operands in bf16.
std::vector<std::vector<float>> resultsOf(const char* gemm, const Layer& layer) {
  const Variable chosen("DDSC_GEMM", gemm);
  const auto backend = mirrorOf(cuda::makeCudaBackend(0));
  const auto [rows, inputs, outputs] = layer;
  const Tensor x = Tensor::random(1, rows, inputs, DType::bf16),
               weight = Tensor::random(2, outputs, inputs, DType::bf16),
               dy = Tensor::random(3, rows, outputs, DType::bf16);
  Tensor y(rows, outputs), dx(rows, inputs), dweight(outputs, inputs), dbias(1, outputs);
  dweight.fill(0);
  dbias.fill(0);
  backend->run(Linear{.x = x.view(),
                      .weight = weight.view(),
                      .bias = {},
                      .preactivation = {},
                      .residual = {},
                      .y = y.view()});
  backend->run(
      LinearInputGradient{.dy = dy.view(), .weight = weight.view(), .preactivation = {}, .dx = dx.view()});
  backend->run(
      LinearWeightGradient{.dy = dy.view(), .x = x.view(), .dweight = dweight.view(), .dbias = dbias.span()});
  return {y.values(), dx.values(), dweight.values(), dbias.values()};
}

DDSC_TEST("products of four warps are those of one") {
  const cuda::Gpu gpu = cuda::usableGpu(0);
  if (gpu.major != 9 || gpu.minor != 0) skip("for Hopper GPUs");
  // The last has three parts of a sum, of which one is short.
  for (const Layer& layer : {Layer{300, 200, 392}, Layer{130, 712, 136}, Layer{2500, 136, 264}}) {
    const auto own = resultsOf("own", layer), hopper = resultsOf("hopper", layer);
    for (std::size_t i = 0; i < own.size(); ++i)
      checkAgainst(hopper[i], std::vector<double>(own[i].begin(), own[i].end()), 1e-5);
    check(resultsOf("hopper", layer) == hopper, "not the same bits again");
  }
}

}  // namespace
}  // namespace ddsc::test
