// Packing of heads for the attention kernels: rotation, rounding and padding in one sweep, a warp a row.

#include "cuda/ops/attention.cuh"

namespace ddsc::cuda {
namespace {

/// A matrix to pack: `parts` of [heads, headDim] columns each, the first `rotated` of which are turned.
struct Unpacked {
  Rows<const bf16> in;
  Rotation rotation;
  int parts, rotated;
  Rows<bf16> out;

  /// Part p of head h of a row goes to out[row][(p * heads + h) * dim ..].
  DDSC_DEVICE void pack(std::int64_t row, int heads, int headDim, int dim) const {
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
          block < rotated * heads ? rotation.at(row, pair, half) : Vector<float, 2>{{1.0f, 0.0f}};
      to[base + pair] = toBf16(a * turn.value[0] - b * turn.value[1]);
      to[base + half + pair] = toBf16(b * turn.value[0] + a * turn.value[1]);
    }
  }
};

/// The rows of one matrix, then those of another.
DDSC_KERNEL(kRowThreads)
packRows(Unpacked first, Unpacked second, int heads, int headDim, int dim) {
  const std::int64_t row = rowOfWarp();
  if (row < first.in.rows) {
    first.pack(row, heads, headDim, dim);
  } else if (row - first.in.rows < second.in.rows) {
    second.pack(row - first.in.rows, heads, headDim, dim);
  }
}

}  // namespace

PackedHeads packHeads(Context& context, const ConstMatrix& query, const ConstMatrix& keyValue,
                      std::int64_t heads, int dim, const RotaryTable& rotary, const Ragged& cells,
                      const Ragged& keys, bf16* memory) {
  const std::int64_t headDim = query.cols / heads, width = heads * dim;
  const auto headsOf = [&](const ConstMatrix& q, const ConstMatrix& kv) {
    const bf16* key = kv.as<bf16>();
    return PackedHeads{
        {q.as<bf16>(), q.rows, q.stride}, {key, kv.rows, kv.stride}, {key + width, kv.rows, kv.stride}};
  };
  const auto areAligned = [](const ConstMatrix& m) { return isAligned(m.data, m.stride, m.type); };
  if (!rotary.cosine && headDim == dim && areAligned(query) && areAligned(keyValue))
    return headsOf(query, keyValue);
  const Matrix q{memory, query.rows, width, width, DType::bf16};
  const Matrix kv{memory + query.rows * width, keyValue.rows, 2 * width, 2 * width, DType::bf16};
  launch<packRows>(context.stream, "attention", warpPerRow(query.rows + keyValue.rows),
                   Unpacked{rowsOf<bf16>(query), Rotation::of(rotary, cells), 1, 1, rowsOf<bf16>(q)},
                   Unpacked{rowsOf<bf16>(keyValue), Rotation::of(rotary, keys), 2, 1, rowsOf<bf16>(kv)},
                   static_cast<int>(heads), static_cast<int>(headDim), dim);
  return headsOf(q, kv);
}

Heads packPlain(Context& context, const ConstMatrix& matrix, std::int64_t heads, int dim, bf16* memory) {
  const std::int64_t headDim = matrix.cols / heads, width = heads * dim;
  if (headDim == dim && isAligned(matrix.data, matrix.stride, matrix.type))
    return {matrix.as<bf16>(), matrix.rows, matrix.stride};
  const Unpacked one{rowsOf<bf16>(matrix), {}, 1, 0, {memory, matrix.rows, width, width}};
  launch<packRows>(context.stream, "attention", warpPerRow(matrix.rows), one, Unpacked{},
                   static_cast<int>(heads), static_cast<int>(headDim), dim);
  return {memory, matrix.rows, width};
}

}  // namespace ddsc::cuda
