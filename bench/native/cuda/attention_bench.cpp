// Attention with rotary positions in bf16. Operations counted: 4 rows^2 headDim a head forward, 10 backward.
#include <vector>

#include "bench/native/cuda/device.h"
#include "cuda/cuda_backend.h"

namespace ddsc::bench {
namespace {

struct Shape {
  std::int64_t cells, length, heads, headDim;
};

const std::vector<Shape> shapes = {
    {64, 1024, 12, 64}, {16, 4096, 12, 64}, {64, 1024, 16, 32}, {32, 1024, 8, 128}};

void measureShape(const Context& context, const Shape& s) {
  const auto backend = cuda::makeCudaBackend(0);
  const std::int64_t rows = s.cells * s.length, dim = s.heads * s.headDim, half = s.headDim / 2;
  std::vector<std::int32_t> offsets{0}, cell, position;
  for (std::int64_t c = 0; c < s.cells; ++c) {
    offsets.push_back(static_cast<std::int32_t>((c + 1) * s.length));
    for (std::int64_t i = 0; i < s.length; ++i) {
      cell.push_back(static_cast<std::int32_t>(c));
      position.push_back(static_cast<std::int32_t>(i));
    }
  }
  const auto upload = [&](const std::vector<std::int32_t>& values) {
    Buffer memory(*backend, values.size() * sizeof(std::int32_t));
    backend->upload(memory.as<void>(), values.data(), memory.bytes());
    return memory;
  };
  const Buffer offsetsThere = upload(offsets), cellThere = upload(cell), positionThere = upload(position);
  const Ragged cells{.offsets = {offsetsThere.as<std::int32_t>(), s.cells + 1},
                     .cell = {cellThere.as<std::int32_t>(), rows},
                     .position = {positionThere.as<std::int32_t>(), rows},
                     .cellIndex = {},
                     .longest = static_cast<std::int32_t>(s.length)};
  const auto matrix = [&](const Buffer& memory, std::int64_t cols, DType type = DType::bf16) {
    return Matrix{memory.as<void>(), rows, cols, cols, type};
  };
  const Buffer qkv = randomBuffer(*backend, rows * 3 * dim, DType::bf16),
               dqkv = randomBuffer(*backend, rows * 3 * dim, DType::bf16),
               out = randomBuffer(*backend, rows * dim, DType::bf16),
               dout = randomBuffer(*backend, rows * dim, DType::bf16),
               logSumExp = randomBuffer(*backend, rows * s.heads, DType::f32),
               table = randomBuffer(*backend, s.length * half, DType::f32);
  const RotaryTable rotary{{table.as<float>(), s.length * half}, {table.as<float>(), s.length * half}};
  const double product = 2.0 * static_cast<double>(rows * s.length) * static_cast<double>(dim);
  measureOnDevice(
      context, *backend, 2 * product,
      [&] {
        backend->run(Attention{.query = matrix(qkv, 3 * dim).columns(0, dim),
                               .keyValue = matrix(qkv, 3 * dim).columns(dim, 2 * dim),
                               .cells = cells,
                               .keys = cells,
                               .heads = s.heads,
                               .rotary = rotary,
                               .out = matrix(out, dim),
                               .logSumExp = matrix(logSumExp, s.heads, DType::f32)});
      },
      "forward");
  measureOnDevice(
      context, *backend, 5 * product,
      [&] {
        backend->run(AttentionGradient{.query = matrix(qkv, 3 * dim).columns(0, dim),
                                       .keyValue = matrix(qkv, 3 * dim).columns(dim, 2 * dim),
                                       .out = matrix(out, dim),
                                       .dout = matrix(dout, dim),
                                       .logSumExp = matrix(logSumExp, s.heads, DType::f32),
                                       .cells = cells,
                                       .keys = cells,
                                       .heads = s.heads,
                                       .rotary = rotary,
                                       .dquery = matrix(dqkv, 3 * dim).columns(0, dim),
                                       .dkeyValue = matrix(dqkv, 3 * dim).columns(dim, 2 * dim)});
      },
      "backward");
}

const bool registered = [] {
  for (const Shape& s : shapes)
    const Registration registration("attention " + std::to_string(s.cells) + " x " +
                                        std::to_string(s.length) + ", " + std::to_string(s.heads) +
                                        " heads of " + std::to_string(s.headDim),
                                    [&s](const Context& context) { measureShape(context, s); });
  return true;
}();

}  // namespace
}  // namespace ddsc::bench
