// The products of a train step of preset small on 64 cells of 1,024 tokens, and a large square one, in bf16.
#include <vector>

#include "bench/native/cuda/device.h"
#include "cuda/cuda_backend.h"

namespace ddsc::bench {
namespace {

constexpr DType kType = DType::bf16;

struct Shape {
  const char* what;
  std::int64_t rows, inputs, outputs;
};

const std::vector<Shape> shapes = {{"small qkv", 65536, 768, 2304},
                                   {"small attention out", 65536, 768, 768},
                                   {"small mlp in", 65536, 768, 3072},
                                   {"small mlp out", 65536, 3072, 768},
                                   {"square", 8192, 8192, 8192}};

void measureShape(const Context& context, const Shape& s) {
  const auto backend = cuda::makeCudaBackend(0);
  const Buffer x = randomBuffer(*backend, s.rows * s.inputs, kType),
               weight = randomBuffer(*backend, s.outputs * s.inputs, kType),
               y = randomBuffer(*backend, s.rows * s.outputs, kType),
               dx = randomBuffer(*backend, s.rows * s.inputs, kType),
               dweight = randomBuffer(*backend, s.outputs * s.inputs, DType::f32);
  const auto matrix = [](const Buffer& memory, std::int64_t rows, std::int64_t cols, DType type = kType) {
    return Matrix{memory.as<void>(), rows, cols, cols, type};
  };
  const Matrix xView = matrix(x, s.rows, s.inputs), weightView = matrix(weight, s.outputs, s.inputs),
               yView = matrix(y, s.rows, s.outputs), dxView = matrix(dx, s.rows, s.inputs);
  const double flops = 2.0 * static_cast<double>(s.rows * s.inputs) * static_cast<double>(s.outputs);
  measureOnDevice(
      context, *backend, flops,
      [&] {
        backend->run(Linear{
            .x = xView, .weight = weightView, .bias = {}, .preactivation = {}, .residual = {}, .y = yView});
      },
      "forward");
  measureOnDevice(
      context, *backend, flops,
      [&] {
        backend->run(
            LinearInputGradient{.dy = yView, .weight = weightView, .preactivation = {}, .dx = dxView});
      },
      "input gradient");
  measureOnDevice(
      context, *backend, flops,
      [&] {
        backend->run(LinearWeightGradient{.dy = yView,
                                          .x = xView,
                                          .dweight = matrix(dweight, s.outputs, s.inputs, DType::f32),
                                          .dbias = {}});
      },
      "weight gradient");
}

const bool registered = [] {
  for (const Shape& shape : shapes)
    const Registration registration("linear " + std::string(shape.what),
                                    [&shape](const Context& context) { measureShape(context, shape); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
