// Flash attention, backward, on the matrix units (bf16; float32 and wider heads: attention_plain.cu). Two
// kernels, so that every sum belongs to one block and runs in a fixed order: one keeps 64 keys and walks the
// queries (dk, dv), one keeps 64 queries and walks the keys (dq). Scores are made again from q, k and the
// log-sum-exp; with P = exp(scores - lse) and delta = rowsum(dout * out): dv = Pᵀ dout, dS = P * (dout vᵀ -
// delta), dk = dSᵀ q, dq = dS k.

#include "cuda/ops/attention.cuh"
#include "cuda/ops/attention_plain.h"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kOwn = 16 * kAttentionWarps;  // tokens a block keeps

/// Tokens walked at a time: fewer for wide heads, whose sums fill the registers.
template <int kDim>
constexpr int kWalked = kDim == 128 ? 32 : 64;

template <int kDim>
constexpr std::size_t sharedBytes() {
  const std::size_t tiles = 2 * HeadTile<kDim, kOwn>::kBytes + 4 * HeadTile<kDim, kWalked<kDim>>::kBytes +
                            sizeof(float) * 4 * static_cast<std::size_t>(kWalked<kDim>);
  return tiles > HeadResult<kDim>::kBytes ? tiles : HeadResult<kDim>::kBytes;
}

struct GradientInput {
  PackedHeads heads;
  Heads dout;
  Sides sides;
  Rows<const float> logSumExp;
  Global<const float> delta;  // [rows, heads]
  int headCount, headDim;
  float scale;
  Rotation queryRotation, keyRotation;
  Rows<bf16> dquery, dkeyValue;
  bool aligned;  // the columns of dv

  DDSC_DEVICE float logSumExpOf(const HeadPlace& at, int token) const {
    return logSumExp[at.start + token][at.head];
  }
  DDSC_DEVICE float deltaOf(const HeadPlace& at, int token) const {
    return delta[(at.start + token) * headCount + at.head];
  }
  /// Column of dkeyValue with which dv begins.
  DDSC_DEVICE std::int64_t valueCol() const { return static_cast<std::int64_t>(headCount) * headDim; }
};

/// Two matrices' tiles of the tokens walked, the next pair arriving while one is used.
template <int kDim>
struct WalkedTiles {
  using Tile = HeadTile<kDim, kWalked<kDim>>;
  Shared<bf16> first, second;

  DDSC_DEVICE void fetch(int block, int blocks, const Heads& a, const Heads& b, const HeadPlace& at) const {
    if (block < blocks) {
      Tile::fetch(first + block % 2 * Tile::kElements, a, at, block * kWalked<kDim>);
      Tile::fetch(second + block % 2 * Tile::kElements, b, at, block * kWalked<kDim>);
    }
    commitCopies();
  }
  DDSC_DEVICE Shared<bf16> firstOf(int block) const { return first + block % 2 * Tile::kElements; }
  DDSC_DEVICE Shared<bf16> secondOf(int block) const { return second + block % 2 * Tile::kElements; }
};

template <int kDim>
DDSC_KERNEL(kAttentionThreads)
differentiateKeys(GradientInput in) {
  const HeadPlace at = HeadPlace::of(in.sides.own, kOwn);
  if (at.first >= at.length) return;
  const HeadPlace asking = HeadPlace::whole(in.sides.walked);
  using Own = HeadTile<kDim, kOwn>;
  constexpr int kQueries = kWalked<kDim>;
  SharedMemory memory;
  const Shared<bf16> keys = memory.take<bf16>(Own::kElements), values = memory.take<bf16>(Own::kElements);
  const WalkedTiles<kDim> walked{memory.take<bf16>(2 * WalkedTiles<kDim>::Tile::kElements),
                                 memory.take<bf16>(2 * WalkedTiles<kDim>::Tile::kElements)};
  const Shared<float> ofQueries = memory.take<float>(4 * kQueries);  // two buffers of lse and delta
  const int blocks = (asking.length + kQueries - 1) / kQueries;
  // Where nobody asks, nothing may still arrive when the zeros take the tiles' place.
  if (blocks > 0) {
    Own::fetch(keys, in.heads.key, at, at.first);
    Own::fetch(values, in.heads.value, at, at.first);
  }
  walked.fetch(0, blocks, in.heads.query, in.dout, asking);

  const float scale2 = in.scale * kLog2E;
  const int pair = laneIndex() % 4 * 2;
  WarpSums<kDim> keySums = {}, valueSums = {};
  for (int block = 0; block < blocks; ++block) {
    walked.fetch(block + 1, blocks, in.heads.query, in.dout, asking);
    const Shared<float> own = ofQueries + block % 2 * 2 * kQueries;
    for (int i = threadIndex(); i < kQueries; i += kAttentionThreads) {
      const int query = block * kQueries + i;
      // Past the cell: a weight of 0.
      own[i] = query < asking.length ? in.logSumExpOf(asking, query) * kLog2E : INFINITY;
      own[kQueries + i] = query < asking.length ? in.deltaOf(asking, query) : 0.0f;
    }
    waitForCopies<1>();
    syncBlock();
    // Keys are rows, queries columns: P and dS come transposed, as the products below want them.
    WarpSums<kQueries> weights, gradients;
    multiplyTokens<kDim, kOwn, kQueries>(weights, keys, warpIndex() * 16, walked.firstOf(block));
    multiplyTokens<kDim, kOwn, kQueries>(gradients, values, warpIndex() * 16, walked.secondOf(block));
#pragma unroll
    for (int i = 0; i < kQueries / 8; ++i) {
      const Vector<float, 2> lse = own.template load<2>(8 * i + pair);
      const Vector<float, 2> delta = own.template load<2>(kQueries + 8 * i + pair);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        weights[i][j] = exponential2(weights[i][j] * scale2 - lse.value[j % 2]);
        gradients[i][j] = weights[i][j] * (gradients[i][j] - delta.value[j % 2]);
      }
    }
    multiplyWeights<kDim, kQueries>(valueSums, weights, walked.secondOf(block));
    multiplyWeights<kDim, kQueries>(keySums, gradients, walked.firstOf(block));
    syncBlock();
  }
  waitForCopies<0>();
  SharedMemory again;
  const Shared<float> result = again.take<float>(HeadResult<kDim>::kBytes / sizeof(float));
  HeadResult<kDim>::put(result, keySums, in.scale, in.scale);
  syncBlock();
  HeadResult<kDim>::writeUnrotated(result, at, in.headDim, in.keyRotation, in.dkeyValue, 0);
  syncBlock();
  HeadResult<kDim>::put(result, valueSums, 1.0f, 1.0f);
  syncBlock();
  HeadResult<kDim>::write(result, at, in.headDim, {in.dkeyValue, in.aligned}, in.valueCol());
}

template <int kDim>
DDSC_KERNEL(kAttentionThreads)
differentiateQueries(GradientInput in) {
  const HeadPlace at = HeadPlace::of(in.sides.own, kOwn);
  if (at.first >= at.length) return;
  const HeadPlace keysAt = HeadPlace::whole(in.sides.walked);
  using Own = HeadTile<kDim, kOwn>;
  constexpr int kKeys = kWalked<kDim>;
  SharedMemory memory;
  const Shared<bf16> queries = memory.take<bf16>(Own::kElements), dout = memory.take<bf16>(Own::kElements);
  const WalkedTiles<kDim> walked{memory.take<bf16>(2 * WalkedTiles<kDim>::Tile::kElements),
                                 memory.take<bf16>(2 * WalkedTiles<kDim>::Tile::kElements)};
  const int blocks = (keysAt.length + kKeys - 1) / kKeys;
  Own::fetch(queries, in.heads.query, at, at.first);
  Own::fetch(dout, in.dout, at, at.first);
  walked.fetch(0, blocks, in.heads.key, in.heads.value, keysAt);

  const float scale2 = in.scale * kLog2E;
  const int pair = laneIndex() % 4 * 2;
  float lse[2], delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int query = at.first + warpIndex() * 16 + laneIndex() / 4 + 8 * half;
    lse[half] = query < at.length ? in.logSumExpOf(at, query) * kLog2E : INFINITY;
    delta[half] = query < at.length ? in.deltaOf(at, query) : 0.0f;
  }
  WarpSums<kDim> sums = {};
  for (int block = 0; block < blocks; ++block) {
    walked.fetch(block + 1, blocks, in.heads.key, in.heads.value, keysAt);
    waitForCopies<1>();
    syncBlock();
    WarpSums<kKeys> weights, gradients;
    multiplyTokens<kDim, kOwn, kKeys>(weights, queries, warpIndex() * 16, walked.firstOf(block));
    multiplyTokens<kDim, kOwn, kKeys>(gradients, dout, warpIndex() * 16, walked.secondOf(block));
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const bool inside = block * kKeys + 8 * i + pair + j % 2 < keysAt.length;
        const float weight = inside ? exponential2(weights[i][j] * scale2 - lse[j / 2]) : 0.0f;
        gradients[i][j] = weight * (gradients[i][j] - delta[j / 2]);
      }
    }
    multiplyWeights<kDim, kKeys>(sums, gradients, walked.firstOf(block));
    syncBlock();
  }
  waitForCopies<0>();
  SharedMemory again;
  const Shared<float> result = again.take<float>(HeadResult<kDim>::kBytes / sizeof(float));
  HeadResult<kDim>::put(result, sums, in.scale, in.scale);
  syncBlock();
  HeadResult<kDim>::writeUnrotated(result, at, in.headDim, in.queryRotation, in.dquery, 0);
}

template <int kDim>
void differentiateBf16(Context& context, const AttentionGradient& op) {
  const std::int64_t rows = op.out.rows, headDim = op.out.cols / op.heads, width = op.heads * kDim;
  // One piece of scratch: packed q, packed k and v, packed dout, delta.
  auto* memory =
      context.scratch.take<float>(gpu::attentionGradientScratchFloats(op.out, op.keyValue.rows, op.heads));
  auto* packed = reinterpret_cast<bf16*>(memory);
  auto* packedDout = packed + (rows + 2 * op.keyValue.rows) * width;
  auto* delta = reinterpret_cast<float*>(packedDout + rows * width);
  const Matrix& dkeyValue = op.dkeyValue;
  GradientInput in{
      .heads =
          packHeads(context, op.query, op.keyValue, op.heads, kDim, op.rotary, op.cells, op.keys, packed),
      .dout = packPlain(context, op.dout, op.heads, kDim, packedDout),
      .sides = {},
      .logSumExp = rowsOf<float>(op.logSumExp),
      .delta = {delta, rows * op.heads},
      .headCount = static_cast<int>(op.heads),
      .headDim = static_cast<int>(headDim),
      .scale = 1.0f / std::sqrt(static_cast<float>(headDim)),
      .queryRotation = Rotation::of(op.rotary, op.cells),
      .keyRotation = Rotation::of(op.rotary, op.keys),
      .dquery = rowsOf<bf16>(op.dquery),
      .dkeyValue = rowsOf<bf16>(dkeyValue),
      .aligned = isAligned(dkeyValue.data, dkeyValue.stride, dkeyValue.type) && headDim % 8 == 0};
  attentionDelta(context, op.out, op.dout, op.heads, delta);
  const LaunchShape block{.threads = kAttentionThreads, .sharedBytes = sharedBytes<kDim>()};
  forPiecesOfCells(op.keys, op.cells, op.heads, kOwn, block,
                   [&](const LaunchShape& shape, const Sides& sides) {
                     in.sides = sides;
                     launch<differentiateKeys<kDim>>(context.stream, "attentionGradient", shape, in);
                   });
  forPiecesOfCells(op.cells, op.keys, op.heads, kOwn, block,
                   [&](const LaunchShape& shape, const Sides& sides) {
                     in.sides = sides;
                     launch<differentiateQueries<kDim>>(context.stream, "attentionGradient", shape, in);
                   });
}

}  // namespace

void run(Context& context, const AttentionGradient& op) {
  switch (gpu::packedHeadDim(op.out.type, op.out.cols / op.heads)) {
    case 32: return differentiateBf16<32>(context, op);
    case 64: return differentiateBf16<64>(context, op);
    case 128: return differentiateBf16<128>(context, op);
    default: return differentiatePlain(context, op);
  }
}

}  // namespace ddsc::cuda
