// Flash attention, forward (Dao 2023, FlashAttention-2). On the matrix units (bf16): a block takes 64 queries
// of one head of one cell, four warps of 16, and walks the keys 64 at a time, the next ones arriving while
// these are used; scores and probabilities never leave the registers. In float32 and for wider heads:
// attention_plain.cu.

#include "cuda/ops/attention.cuh"
#include "cuda/ops/attention_plain.h"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kQueries = 16 * kAttentionWarps, kKeys = 64;

template <int kDim>
constexpr std::size_t sharedBytes() {
  const std::size_t tiles = HeadTile<kDim, kQueries>::kBytes + 4 * HeadTile<kDim, kKeys>::kBytes;
  return tiles > HeadResult<kDim>::kBytes ? tiles : HeadResult<kDim>::kBytes;
}

/// A thread's two rows of a warp's 16: lane / 4 and that plus 8.
struct RunningSoftmax {
  float maximum[2] = {-INFINITY, -INFINITY};  // of the scores so far, in base-2 units
  float total[2] = {0, 0};                    // this lane's share of the sums of exponentials

  /// Scores, times `scale` above 0, become exponentials relative to the new maxima; `shrink` is what earlier
  /// sums are to be multiplied by.
  template <int kColumns>
  DDSC_DEVICE void take(WarpSums<kColumns>& scores, float scale, int firstKey, int keys, float (&shrink)[2]) {
    const int pair = laneIndex() % 4 * 2;
    if (firstKey + kColumns > keys) {
#pragma unroll
      for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (firstKey + 8 * i + pair + j % 2 >= keys) scores[i][j] = -INFINITY;
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float highest = scores[0][2 * half];
#pragma unroll
      for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const float score = scores[i][2 * half + j];
          highest = score > highest ? score : highest;
        }
      }
#pragma unroll
      for (int mask = 1; mask <= 2; mask *= 2) {
        const float other = shuffleXor(highest, mask);
        highest = other > highest ? other : highest;
      }
      highest *= scale;
      highest = maximum[half] > highest ? maximum[half] : highest;
      shrink[half] = exponential2(maximum[half] - highest);
      maximum[half] = highest;
      total[half] *= shrink[half];
#pragma unroll
      for (int i = 0; i < kColumns / 8; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& score = scores[i][2 * half + j];
          score = exponential2(fusedMultiplyAdd(score, scale, -highest));
          total[half] += score;
        }
      }
    }
  }

  DDSC_DEVICE float sum(int half) const {
    float all = total[half];
    all += shuffleXor(all, 1);
    all += shuffleXor(all, 2);
    return all;
  }
};

/// Blocks that a multiprocessor is to hold: as many as their registers allow.
template <int kDim>
inline constexpr int kBlocks = kDim == 32   ? 4
                               : kDim == 64 ? 3
                                            : 2;

template <int kDim>
DDSC_KERNEL(kAttentionThreads, kBlocks<kDim>)
attend(PackedHeads heads, Sides sides, int headDim, float scale, View<bf16> out, Rows<float> logSumExp) {
  const HeadPlace at = HeadPlace::of(sides.own, kQueries);
  if (at.first >= at.length) return;
  const HeadPlace walked = HeadPlace::whole(sides.walked);
  using Keys = HeadTile<kDim, kKeys>;
  SharedMemory memory;
  const Shared<bf16> queries = memory.take<bf16>(HeadTile<kDim, kQueries>::kElements);
  const Shared<bf16> keys = memory.take<bf16>(2 * Keys::kElements);
  const Shared<bf16> values = memory.take<bf16>(2 * Keys::kElements);
  const int blocks = (walked.length + kKeys - 1) / kKeys;
  const auto fetch = [&](int block) {
    if (block < blocks) {
      Keys::fetch(keys + block % 2 * Keys::kElements, heads.key, walked, block * kKeys);
      Keys::fetch(values + block % 2 * Keys::kElements, heads.value, walked, block * kKeys);
    }
    commitCopies();
  };
  HeadTile<kDim, kQueries>::fetch(queries, heads.query, at, at.first);
  fetch(0);

  RunningSoftmax softmax;
  WarpSums<kDim> sums = {};
  for (int block = 0; block < blocks; ++block) {
    fetch(block + 1);
    waitForCopies<1>();
    syncBlock();
    const int tile = block % 2 * Keys::kElements;
    WarpSums<kKeys> scores;
    float shrink[2];
    multiplyTokens<kDim, kQueries, kKeys>(scores, queries, warpIndex() * 16, keys + tile);
    softmax.take<kKeys>(scores, scale * kLog2E, block * kKeys, walked.length, shrink);
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      sums[i][0] *= shrink[0];
      sums[i][1] *= shrink[0];
      sums[i][2] *= shrink[1];
      sums[i][3] *= shrink[1];
    }
    multiplyWeights<kDim, kKeys>(sums, scores, values + tile);
    syncBlock();  // before the next fetch lands in these tiles
  }
  waitForCopies<0>();

  const float total[2] = {softmax.sum(0), softmax.sum(1)};
  if (laneIndex() % 4 == 0) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = at.first + warpIndex() * 16 + laneIndex() / 4 + 8 * half;
      if (query < at.length)
        logSumExp[at.start + query][at.head] = softmax.maximum[half] * kLn2 + logf(total[half]);
    }
  }
  SharedMemory again;
  const Shared<float> result = again.take<float>(HeadResult<kDim>::kBytes / sizeof(float));
  HeadResult<kDim>::put(result, sums, 1.0f / total[0], 1.0f / total[1]);
  syncBlock();
  HeadResult<kDim>::write(result, at, headDim, out, 0);
}

template <int kDim>
void attendBf16(Context& context, const Attention& op) {
  const std::int64_t headDim = op.out.cols / op.heads;
  auto* memory = context.scratch.take<float>(gpu::attentionScratchFloats(op.out, op.keyValue.rows, op.heads));
  const PackedHeads heads = packHeads(context, op.query, op.keyValue, op.heads, kDim, op.rotary, op.cells,
                                      op.keys, reinterpret_cast<bf16*>(memory));
  // A head's columns begin at multiples of its width.
  const View<bf16> outView{rowsOf<bf16>(op.out),
                           isAligned(op.out.data, op.out.stride, op.out.type) && headDim % 8 == 0};
  forPiecesOfCells(op.cells, op.keys, op.heads, kQueries,
                   {.threads = kAttentionThreads, .sharedBytes = sharedBytes<kDim>()},
                   [&](const LaunchShape& shape, const Sides& sides) {
                     launch<attend<kDim>>(
                         context.stream, "attention", shape, heads, sides, static_cast<int>(headDim),
                         1.0f / std::sqrt(static_cast<float>(headDim)), outView, rowsOf<float>(op.logSumExp));
                   });
}

}  // namespace

void run(Context& context, const Attention& op) {
  switch (gpu::packedHeadDim(op.out.type, op.out.cols / op.heads)) {
    case 32: return attendBf16<32>(context, op);
    case 64: return attendBf16<64>(context, op);
    case 128: return attendBf16<128>(context, op);
    default: return attendPlain(context, op);
  }
}

}  // namespace ddsc::cuda
