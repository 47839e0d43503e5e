// How near the linear layers come to the machine's multiply-add peak, at the shapes of a train step.
#include <vector>

#include "bench/peak.h"
#include "cpu/cpu_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  const char* what;
  std::int64_t rows, inputs, outputs;
};

// 4 cells of 1024 tokens at 512 wide; the head; the conditioning; 64 cells of 96 tokens at 128 wide.
const std::vector<Shape> shapes = {{"mlp up", 4096, 512, 2048},       {"mlp down", 4096, 2048, 512},
                                   {"attention out", 4096, 512, 512}, {"head", 2048, 512, 54},
                                   {"conditioning", 4, 128, 3072},    {"nano qkv", 6144, 128, 384}};

void measureShape(const Context& context, const Shape& shape, DType type) {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const auto buffer = [&](std::int64_t rows, std::int64_t cols) {
    Buffer memory(*backend, static_cast<std::size_t>(rows * cols * sizeOf(type)));
    backend->zero(memory.as<void>(), memory.bytes());
    return memory;
  };
  const Buffer x = buffer(shape.rows, shape.inputs), weight = buffer(shape.outputs, shape.inputs);
  const Buffer y = buffer(shape.rows, shape.outputs), dx = buffer(shape.rows, shape.inputs);
  const Buffer preactivation = buffer(shape.rows, shape.outputs);
  const Buffer dweight(*backend, static_cast<std::size_t>(shape.outputs * shape.inputs) * sizeof(float));
  const Buffer bias(*backend, static_cast<std::size_t>(shape.outputs) * sizeof(float));
  backend->zero(dweight.as<void>(), dweight.bytes());
  backend->zero(bias.as<void>(), bias.bytes());
  const auto matrix = [type](const Buffer& memory, std::int64_t rows, std::int64_t cols) {
    return Matrix{memory.as<void>(), rows, cols, cols, type};
  };
  const Matrix xView = matrix(x, shape.rows, shape.inputs), yView = matrix(y, shape.rows, shape.outputs);
  const Matrix weightView = matrix(weight, shape.outputs, shape.inputs);
  const double flops = 2.0 * static_cast<double>(shape.rows * shape.inputs * shape.outputs);

  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(Linear{.x = xView,
                            .weight = weightView,
                            .bias = {bias.as<float>(), shape.outputs},
                            .activation = Activation::geluTanh,
                            .preactivation = matrix(preactivation, shape.rows, shape.outputs),
                            .residual = {},
                            .y = yView});
      },
      "forward with bias and GELU");
  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(LinearInputGradient{.dy = yView,
                                         .weight = weightView,
                                         .preactivation = {},
                                         .dx = matrix(dx, shape.rows, shape.inputs)});
      },
      "input gradient");
  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(LinearWeightGradient{
            .dy = yView,
            .x = xView,
            .dweight = {dweight.as<void>(), shape.outputs, shape.inputs, shape.inputs, DType::f32},
            .dbias = {bias.as<float>(), shape.outputs}});
      },
      "weight gradient");
}

const bool registered = [] {
  for (const Shape& shape : shapes)
    for (const DType type : {DType::f32, DType::bf16})
      const Registration registration(
          "linear, " + std::string(shape.what) + (type == DType::f32 ? ", float" : ", bf16"),
          [&shape, type](const Context& context) { measureShape(context, shape, type); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
