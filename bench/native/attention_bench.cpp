// How near attention comes to the machine's multiply-add peak. Operations counted: 4 rows^2 headDim a head
// forward, 10 backward (the scores are computed again), exponentials not counted.
#include <vector>

#include "bench/native/peak.h"
#include "cpu/cpu_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  std::int64_t cells, length, heads, headDim;
};

const std::vector<Shape> shapes = {{4, 1024, 8, 64}, {64, 96, 2, 64}, {8, 512, 4, 32}, {2, 1024, 8, 128}};

void measureShape(const Context& context, const Shape& shape, DType type) {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const std::int64_t rows = shape.cells * shape.length, dim = shape.heads * shape.headDim,
                     half = shape.headDim / 2;
  std::vector<std::int32_t> offsets{0}, cell, position;
  for (std::int64_t c = 0; c < shape.cells; ++c) {
    offsets.push_back(static_cast<std::int32_t>((c + 1) * shape.length));
    for (std::int64_t i = 0; i < shape.length; ++i) {
      cell.push_back(static_cast<std::int32_t>(c));
      position.push_back(static_cast<std::int32_t>(i));
    }
  }
  const std::vector<std::uint64_t> cellIndex(static_cast<std::size_t>(shape.cells));
  const Ragged cells = {{offsets.data(), shape.cells + 1},
                        {cell.data(), rows},
                        {position.data(), rows},
                        {cellIndex.data(), shape.cells},
                        static_cast<std::int32_t>(shape.length)};
  const auto buffer = [&](std::int64_t elements, DType elementType) {
    Buffer memory(*backend, static_cast<std::size_t>(elements * sizeOf(elementType)));
    backend->zero(memory.as<void>(), memory.bytes());
    return memory;
  };
  const Buffer qkv = buffer(rows * 3 * dim, type), dqkv = buffer(rows * 3 * dim, type);
  const Buffer out = buffer(rows * dim, type), dout = buffer(rows * dim, type);
  const Buffer logSumExp = buffer(rows * shape.heads, DType::f32),
               table = buffer(shape.length * half, DType::f32);
  const RotaryTable rotary = {{table.as<float>(), shape.length * half},
                              {table.as<float>(), shape.length * half}};
  const auto matrix = [rows](const Buffer& memory, std::int64_t cols, DType elementType) {
    return Matrix{memory.as<void>(), rows, cols, cols, elementType};
  };
  const double product = 2.0 * static_cast<double>(rows * shape.length * dim);
  measureAgainstPeak(
      context, 2 * product,
      [&] {
        backend->run(Attention{.qkv = matrix(qkv, 3 * dim, type),
                               .cells = cells,
                               .heads = shape.heads,
                               .rotary = rotary,
                               .out = matrix(out, dim, type),
                               .logSumExp = matrix(logSumExp, shape.heads, DType::f32)});
      },
      "forward");
  measureAgainstPeak(
      context, 5 * product,
      [&] {
        backend->run(AttentionGradient{.qkv = matrix(qkv, 3 * dim, type),
                                       .out = matrix(out, dim, type),
                                       .dout = matrix(dout, dim, type),
                                       .logSumExp = matrix(logSumExp, shape.heads, DType::f32),
                                       .cells = cells,
                                       .heads = shape.heads,
                                       .rotary = rotary,
                                       .dqkv = matrix(dqkv, 3 * dim, type)});
      },
      "backward");
}

const bool registered = [] {
  for (const Shape& shape : shapes)
    for (const DType type : {DType::f32, DType::bf16})
      const Registration registration(
          "attention, " + std::to_string(shape.cells) + " x " + std::to_string(shape.length) + ", " +
              std::to_string(shape.heads) + " heads of " + std::to_string(shape.headDim) +
              (type == DType::f32 ? ", float" : ", bf16"),
          [&shape, type](const Context& context) { measureShape(context, shape, type); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
