// How near the linear layers come to the peak of the units they run on, at the shapes of a train step.
#include <cstring>
#include <vector>

#include "bench/native/peak.h"
#include "cpu/cpu_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  const char* what;
  std::int64_t rows, inputs, outputs;
  Activation activation = Activation::none;
};

// The presets' layers: tiny on 4 cells of 1024 tokens, small on 2, half of them masked; in the last block
// only masked tokens go on. Then the conditioning, nano on 64 cells of 96 tokens, and on 64 whole cells in
// counts.
const std::vector<Shape> shapes = {{"tiny qkv", 4096, 512, 1536},
                                   {"tiny attention out", 4096, 512, 512},
                                   {"tiny mlp in", 4096, 512, 2048, Activation::geluTanh},
                                   {"tiny mlp out", 4096, 2048, 512},
                                   {"tiny mlp in, last block", 2048, 512, 2048, Activation::geluTanh},
                                   {"tiny mlp out, last block", 2048, 2048, 512},
                                   {"tiny head", 2048, 512, 54},
                                   {"small qkv", 2048, 768, 2304},
                                   {"small attention out", 2048, 768, 768},
                                   {"small mlp in", 2048, 768, 3072, Activation::geluTanh},
                                   {"small mlp out", 2048, 3072, 768},
                                   {"small head", 1024, 768, 54},
                                   {"conditioning", 4, 128, 3072},
                                   {"nano qkv", 6144, 128, 384},
                                   {"counts mlp in", 14336, 128, 512, Activation::geluTanh},
                                   {"counts mlp out", 14336, 512, 128},
                                   {"counts attention out", 14336, 128, 128},
                                   {"counts head", 10240, 128, 180}};

void measureShape(const Context& context, const Shape& shape, DType type) {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const auto buffer = [&](std::int64_t rows, std::int64_t cols) {
    Buffer memory(*backend, static_cast<std::size_t>(rows * cols * sizeOf(type)));
    std::memset(memory.as<void>(), 0x3f,
                memory.bytes());  // some 0.75 in either type; zeros would be easy on it
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
  const bool gelu = shape.activation == Activation::geluTanh;
  const double flops = 2.0 * static_cast<double>(shape.rows * shape.inputs * shape.outputs);

  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(
            Linear{.x = xView,
                   .weight = weightView,
                   .bias = {bias.as<float>(), shape.outputs},
                   .activation = shape.activation,
                   .preactivation = gelu ? matrix(preactivation, shape.rows, shape.outputs) : Matrix{},
                   .residual = {},
                   .y = yView});
      },
      gelu ? "forward with bias and GELU" : "forward with bias", type);
  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(LinearInputGradient{.dy = yView,
                                         .weight = weightView,
                                         .preactivation = {},
                                         .dx = matrix(dx, shape.rows, shape.inputs)});
      },
      "input gradient", type);
  measureAgainstPeak(
      context, flops,
      [&] {
        backend->run(LinearWeightGradient{
            .dy = yView,
            .x = xView,
            .dweight = {dweight.as<void>(), shape.outputs, shape.inputs, shape.inputs, DType::f32},
            .dbias = {bias.as<float>(), shape.outputs}});
      },
      "weight gradient", type);
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
