// How near attention comes to the machine's multiply-add peak. Operations counted: 4 asking rows * keys *
// headDim a head and cell forward, 10 backward (the scores are computed again), exponentials not counted.
#include <algorithm>
#include <string>
#include <vector>

#include "bench/native/peak.h"
#include "cpu/cpu_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  std::int64_t cells, rows, heads, headDim;
  std::int64_t keys = rows;
};

// The last: a training step's cells of the count model, few keys and all rows asking.
const std::vector<Shape> shapes = {{4, 1024, 8, 64},  {64, 96, 2, 64},  {8, 512, 4, 32},
                                   {2, 1024, 8, 128}, {64, 136, 2, 64}, {64, 136, 2, 64, 36}};

/// So many rows of each cell.
struct Side {
  Side(std::int64_t cells, std::int64_t rows) : cellIndex(static_cast<std::size_t>(cells)) {
    for (std::int64_t c = 0; c < cells; ++c) {
      offsets.push_back(static_cast<std::int32_t>((c + 1) * rows));
      for (std::int64_t i = 0; i < rows; ++i) {
        cell.push_back(static_cast<std::int32_t>(c));
        position.push_back(static_cast<std::int32_t>(i));
      }
    }
    view = {{offsets.data(), cells + 1},
            {cell.data(), cells * rows},
            {position.data(), cells * rows},
            {cellIndex.data(), cells},
            static_cast<std::int32_t>(rows)};
  }
  std::vector<std::int32_t> offsets{0}, cell, position;
  std::vector<std::uint64_t> cellIndex;
  Ragged view;
};

void measureShape(const Context& context, const Shape& shape, DType type) {
  const auto backend = cpu::makeCpuBackend("", context.settings().threads);
  const Side asking(shape.cells, shape.rows), keys(shape.cells, shape.keys);
  const std::int64_t rows = asking.view.rows(), keyRows = keys.view.rows(), dim = shape.heads * shape.headDim,
                     angles = std::max(shape.rows, shape.keys) * shape.headDim / 2;
  const auto buffer = [&](std::int64_t elements, DType elementType) {
    Buffer memory(*backend, static_cast<std::size_t>(elements * sizeOf(elementType)));
    backend->zero(memory.as<void>(), memory.bytes());
    return memory;
  };
  const Buffer query = buffer(rows * dim, type), dquery = buffer(rows * dim, type);
  const Buffer keyValue = buffer(keyRows * 2 * dim, type), dkeyValue = buffer(keyRows * 2 * dim, type);
  const Buffer out = buffer(rows * dim, type), dout = buffer(rows * dim, type);
  const Buffer logSumExp = buffer(rows * shape.heads, DType::f32), table = buffer(angles, DType::f32);
  const RotaryTable rotary = {{table.as<float>(), angles}, {table.as<float>(), angles}};
  const auto matrix = [](const Buffer& memory, std::int64_t count, std::int64_t cols, DType elementType) {
    return Matrix{memory.as<void>(), count, cols, cols, elementType};
  };
  const std::int64_t pairs = rows * shape.keys;
  const double product = 2.0 * static_cast<double>(pairs * dim);
  measureAgainstPeak(
      context, 2 * product,
      [&] {
        backend->run(Attention{.query = matrix(query, rows, dim, type),
                               .keyValue = matrix(keyValue, keyRows, 2 * dim, type),
                               .cells = asking.view,
                               .keys = keys.view,
                               .pairs = pairs,
                               .heads = shape.heads,
                               .rotary = rotary,
                               .out = matrix(out, rows, dim, type),
                               .logSumExp = matrix(logSumExp, rows, shape.heads, DType::f32)});
      },
      "forward");
  measureAgainstPeak(
      context, 5 * product,
      [&] {
        backend->run(AttentionGradient{.query = matrix(query, rows, dim, type),
                                       .keyValue = matrix(keyValue, keyRows, 2 * dim, type),
                                       .out = matrix(out, rows, dim, type),
                                       .dout = matrix(dout, rows, dim, type),
                                       .logSumExp = matrix(logSumExp, rows, shape.heads, DType::f32),
                                       .cells = asking.view,
                                       .keys = keys.view,
                                       .pairs = pairs,
                                       .heads = shape.heads,
                                       .rotary = rotary,
                                       .dquery = matrix(dquery, rows, dim, type),
                                       .dkeyValue = matrix(dkeyValue, keyRows, 2 * dim, type)});
      },
      "backward");
}

const bool registered = [] {
  for (const Shape& shape : shapes)
    for (const DType type : {DType::f32, DType::bf16})
      const Registration registration(
          "attention, " + std::to_string(shape.cells) + " x " + std::to_string(shape.rows) +
              (shape.keys == shape.rows ? "" : " to " + std::to_string(shape.keys)) + ", " +
              std::to_string(shape.heads) + " heads of " + std::to_string(shape.headDim) +
              (type == DType::f32 ? ", float" : ", bf16"),
          [&shape, type](const Context& context) { measureShape(context, shape, type); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
