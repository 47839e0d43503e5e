// Packing of heads for the attention kernels: rotation, rounding and padding in one sweep, a warp a row.

#include "cuda/ops/attention.cuh"

namespace ddsc::cuda {
namespace {

/// Part `which` (0: q, 1: k, 2: v) of row r of head h goes to out[r][which * heads * dim + h * dim ..].
DDSC_KERNEL(kRowThreads)
packRows(Rows<const bf16> in, Rotation rotation, int parts, int heads, int headDim, int dim, Rows<bf16> out) {
  const std::int64_t row = rowOfWarp();
  if (row >= in.rows) return;
  const Global<const bf16> from = in[row];
  const Global<bf16> to = out[row];
  const int half = headDim / 2, pairs = dim / 2;
  for (int i = laneIndex(); i < parts * heads * pairs; i += kWarpSize) {
    const int block = i / pairs, pair = i % pairs;  // block: part and head
    const std::int64_t base = static_cast<std::int64_t>(block) * dim;
    if (pair >= half) {
      // What the tile has more than the head, behind it.
      to[base + headDim + 2 * (pair - half)] = bf16{0};
      to[base + headDim + 2 * (pair - half) + 1] = bf16{0};
      continue;
    }
    const std::int64_t source = static_cast<std::int64_t>(block) * headDim + pair;
    const float a = toFloat(from[source]), b = toFloat(from[source + half]);
    const Vector<float, 2> turn =
        block < 2 * heads && parts == 3 ? rotation.at(row, pair, half) : Vector<float, 2>{{1.0f, 0.0f}};
    to[base + pair] = toBf16(a * turn.value[0] - b * turn.value[1]);
    to[base + half + pair] = toBf16(b * turn.value[0] + a * turn.value[1]);
  }
}

}  // namespace

PackedHeads packHeads(Context& context, const ConstMatrix& qkv, std::int64_t heads, int dim,
                      const RotaryTable& rotary, const Ragged& cells, bf16* memory) {
  const std::int64_t headDim = qkv.cols / 3 / heads, width = heads * dim;
  const bool asIs = !rotary.cosine && headDim == dim && isAligned(qkv.data, qkv.stride, qkv.type);
  const bf16* data = asIs ? qkv.as<bf16>() : memory;
  const std::int64_t stride = asIs ? qkv.stride : 3 * width;
  if (!asIs) {
    launch<packRows>(context.stream, "attention", warpPerRow(qkv.rows), rowsOf<bf16>(qkv),
                     Rotation::of(rotary, cells), 3, static_cast<int>(heads), static_cast<int>(headDim), dim,
                     Rows<bf16>{memory, qkv.rows, stride, stride});
  }
  return {{data, qkv.rows, stride}, {data + width, qkv.rows, stride}, {data + 2 * width, qkv.rows, stride}};
}

Heads packPlain(Context& context, const ConstMatrix& matrix, std::int64_t heads, int dim, bf16* memory) {
  const std::int64_t headDim = matrix.cols / heads, width = heads * dim;
  if (headDim == dim && isAligned(matrix.data, matrix.stride, matrix.type))
    return {matrix.as<bf16>(), matrix.rows, matrix.stride};
  launch<packRows>(context.stream, "attention", warpPerRow(matrix.rows), rowsOf<bf16>(matrix), Rotation{}, 1,
                   static_cast<int>(heads), static_cast<int>(headDim), dim,
                   Rows<bf16>{memory, matrix.rows, width, width});
  return {memory, matrix.rows, width};
}

}  // namespace ddsc::cuda
