// Attention with rotary positions in bf16. Operations counted: 4 asking rows * keys * headDim a head and cell
// forward, 10 backward.
#include <algorithm>
#include <string>
#include <vector>

#include "bench/native/cuda/device.h"
#include "cuda/cuda_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  std::int64_t cells, rows, heads, headDim;
  std::int64_t keys = rows;
};

// The last: cells of the count model, where all rows ask a quarter of them.
const std::vector<Shape> shapes = {
    {64, 1024, 12, 64}, {16, 4096, 12, 64}, {64, 1024, 16, 32}, {32, 1024, 8, 128}, {64, 2048, 12, 64, 512}};

/// So many rows of each cell, on the device.
struct Side {
  Side(Backend& backend, std::int64_t cells, std::int64_t rows) {
    std::vector<std::int32_t> ends{0}, ofCell, places;
    for (std::int64_t c = 0; c < cells; ++c) {
      ends.push_back(static_cast<std::int32_t>((c + 1) * rows));
      for (std::int64_t i = 0; i < rows; ++i) {
        ofCell.push_back(static_cast<std::int32_t>(c));
        places.push_back(static_cast<std::int32_t>(i));
      }
    }
    const auto upload = [&](const std::vector<std::int32_t>& values) {
      Buffer memory(backend, values.size() * sizeof(std::int32_t));
      backend.upload(memory.as<void>(), values.data(), memory.bytes());
      return memory;
    };
    offsets = upload(ends);
    cell = upload(ofCell);
    position = upload(places);
    view = {.offsets = {offsets.as<std::int32_t>(), cells + 1},
            .cell = {cell.as<std::int32_t>(), cells * rows},
            .position = {position.as<std::int32_t>(), cells * rows},
            .cellIndex = {},
            .longest = static_cast<std::int32_t>(rows)};
  }
  Buffer offsets, cell, position;
  Ragged view;
};

void measureShape(const Context& context, const Shape& s) {
  const auto backend = cuda::makeCudaBackend(0);
  const Side asking(*backend, s.cells, s.rows), keys(*backend, s.cells, s.keys);
  const std::int64_t rows = s.cells * s.rows, keyRows = s.cells * s.keys, dim = s.heads * s.headDim,
                     angles = std::max(s.rows, s.keys) * s.headDim / 2, pairs = rows * s.keys;
  const auto matrix = [](const Buffer& memory, std::int64_t count, std::int64_t cols,
                         DType type = DType::bf16) {
    return Matrix{memory.as<void>(), count, cols, cols, type};
  };
  const auto random = [&](std::int64_t elements, DType type = DType::bf16) {
    return randomBuffer(*backend, elements, type);
  };
  const Buffer query = random(rows * dim), dquery = random(rows * dim), keyValue = random(keyRows * 2 * dim),
               dkeyValue = random(keyRows * 2 * dim), out = random(rows * dim), dout = random(rows * dim),
               logSumExp = random(rows * s.heads, DType::f32), table = random(angles, DType::f32);
  const RotaryTable rotary{{table.as<float>(), angles}, {table.as<float>(), angles}};
  const double product = 2.0 * static_cast<double>(pairs) * static_cast<double>(dim);
  measureOnDevice(
      context, *backend, 2 * product,
      [&] {
        backend->run(Attention{.query = matrix(query, rows, dim),
                               .keyValue = matrix(keyValue, keyRows, 2 * dim),
                               .cells = asking.view,
                               .keys = keys.view,
                               .pairs = pairs,
                               .heads = s.heads,
                               .rotary = rotary,
                               .out = matrix(out, rows, dim),
                               .logSumExp = matrix(logSumExp, rows, s.heads, DType::f32)});
      },
      "forward");
  measureOnDevice(
      context, *backend, 5 * product,
      [&] {
        backend->run(AttentionGradient{.query = matrix(query, rows, dim),
                                       .keyValue = matrix(keyValue, keyRows, 2 * dim),
                                       .out = matrix(out, rows, dim),
                                       .dout = matrix(dout, rows, dim),
                                       .logSumExp = matrix(logSumExp, rows, s.heads, DType::f32),
                                       .cells = asking.view,
                                       .keys = keys.view,
                                       .pairs = pairs,
                                       .heads = s.heads,
                                       .rotary = rotary,
                                       .dquery = matrix(dquery, rows, dim),
                                       .dkeyValue = matrix(dkeyValue, keyRows, 2 * dim)});
      },
      "backward");
}

const bool registered = [] {
  for (const Shape& s : shapes)
    const Registration registration("attention " + std::to_string(s.cells) + " x " + std::to_string(s.rows) +
                                        (s.keys == s.rows ? "" : " to " + std::to_string(s.keys)) + ", " +
                                        std::to_string(s.heads) + " heads of " + std::to_string(s.headDim),
                                    [&s](const Context& context) { measureShape(context, s); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
