#pragma once
// What attention's forward and backward share on the matrix units: heads packed for 16-byte copies, tiles of
// them in shared memory, and the fragments taken from there. A tile holds kRows tokens of one head, kDim wide
// (32, 64 or 128; narrower heads are padded with zeros).

#include <algorithm>

#include "cuda/context.h"
#include "cuda/ops/elements.cuh"
#include "ops/gpu_scratch.h"

namespace ddsc::cuda {

/// q, k, v or a gradient of all heads: row r of head h begins at data + r * stride + h * kDim, 16-byte
/// aligned.
struct Heads {
  const bf16* data;
  std::int64_t rows, stride;

  DDSC_DEVICE Global<const bf16> row(std::int64_t row, std::int64_t head, int dim) const {
#if !defined(__CUDACC__)
    if (row < 0 || row >= rows) emulator::fault("row " + std::to_string(row) + " of the heads");
#endif
    return {data + row * stride + head * dim, dim};
  }
};

/// Cosine and sine of a pair's position; (1, 0) where there is no rotary embedding.
struct Rotation {
  Global<const float> cosine, sine;
  Global<const std::int32_t> position;

  static Rotation of(const RotaryTable& table, const Ragged& rows) {
    return {globalOf(table.cosine), globalOf(table.sine), globalOf(rows.position)};
  }
  DDSC_DEVICE Vector<float, 2> at(std::int64_t row, int pair, int half) const {
    if (cosine.data == nullptr) return {{1.0f, 0.0f}};
    const std::int64_t i = static_cast<std::int64_t>(position[row]) * half + pair;
    return {{cosine[i], sine[i]}};
  }
};

/// Where the block stands: tokens of one head of one cell, on one side: the rows that ask, or the keys.
struct HeadPlace {
  std::int64_t start;  // the cell's first row on this side
  int length;          // its rows there
  int first;           // token the block begins with
  int head;

  DDSC_DEVICE static HeadPlace of(Global<const std::int32_t> offsets, int tokensPerBlock) {
    const Index block = blockIndex();
    const std::int32_t start = offsets[block.z];
    return {start, offsets[block.z + 1] - start, block.x * tokensPerBlock, block.y};
  }
  /// All tokens of the block's head and cell, on the side with these offsets.
  DDSC_DEVICE static HeadPlace whole(Global<const std::int32_t> offsets) { return of(offsets, 0); }
};

/// The offsets of the same cells on the side whose tokens a block keeps, and on the one that it walks.
struct Sides {
  Global<const std::int32_t> own, walked;
};

/// Launches a kernel that begins with `HeadPlace::of` of its own side, cells in z: in pieces where there are
/// more of them than a grid takes there. `launchPiece(shape, sides)` gets the grid of a piece and the offsets
/// of its cells.
template <class LaunchPiece>
void forPiecesOfCells(const Ragged& own, const Ragged& walked, std::int64_t heads,
                      std::int64_t tokensPerBlock, LaunchShape shape, const LaunchPiece& launchPiece) {
  shape.x = ceilDivide(own.longest, tokensPerBlock);
  shape.y = heads;
  for (std::int64_t first = 0; first < own.cells(); first += kMostInYOrZ) {
    shape.z = std::min(own.cells() - first, kMostInYOrZ);
    launchPiece(shape, Sides{globalOf(own.offsets.part(first, shape.z + 1)),
                             globalOf(walked.offsets.part(first, shape.z + 1))});
  }
}

inline constexpr int kAttentionThreads = 128, kAttentionWarps = 4;
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

template <int kDim, int kRows>
struct HeadTile {
  static constexpr int kElements = kDim * kRows, kChunks = kDim / 8;
  static constexpr std::size_t kBytes = sizeof(bf16) * static_cast<std::size_t>(kElements);

  /// Chunks of eight are permuted within a row, so that eight rows' chunks lie in different banks.
  DDSC_DEVICE static int place(int row, int chunk) {
    return row * kDim + (kDim == 32 ? chunk ^ (row >> 1 & 3) : chunk ^ (row & 7)) * 8;
  }

  /// Begins to bring tokens first .. first + kRows - 1 of a head; those past the cell become 0.
  DDSC_DEVICE static void fetch(Shared<bf16> tile, const Heads& heads, const HeadPlace& at, int first) {
#pragma unroll
    for (int i = 0; i < kRows * kChunks / kAttentionThreads; ++i) {
      const int index = threadIndex() + i * kAttentionThreads;
      const int row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < at.length;
      const Global<const bf16> from =
          inside ? heads.row(at.start + first + row, at.head, kDim) : Global<const bf16>{heads.data, 0};
      copyAsync(tile, place(row, chunk), from, chunk * 8, inside ? 8 : 0);
    }
  }

  /// A: tokens first .. first + 15, columns step .. step + 15.
  DDSC_DEVICE static void loadA(std::uint32_t (&fragment)[4], Shared<bf16> tile, int first, int step) {
    const int lane = laneIndex();
    loadMatrix4(fragment, tile + place(first + lane % 16, step / 8 + lane / 16));
  }
  /// B of a product summed over the columns: tokens first .. first + 15 are its columns.
  DDSC_DEVICE static void loadTokensB(std::uint32_t (&fragment)[4], Shared<bf16> tile, int first, int step) {
    const int lane = laneIndex();
    loadMatrix4(fragment, tile + place(first + lane / 16 * 8 + lane % 8, step / 8 + lane / 8 % 2));
  }
  /// B of a product summed over the tokens step .. step + 15, columns first .. first + 15.
  DDSC_DEVICE static void loadColumnsB(std::uint32_t (&fragment)[4], Shared<bf16> tile, int step, int first) {
    const int lane = laneIndex();
    loadMatrix4Transposed(fragment, tile + place(step + lane / 8 % 2 * 8 + lane % 8, first / 8 + lane / 16));
  }
};

/// A warp's 16 rows of so many columns, as `multiplyAccumulate` lays out eight at a time.
template <int kColumns>
using WarpSums = float[static_cast<std::size_t>(kColumns / 8)][4];

/// sums[16 x kColumns of a warp] = A's 16 rows from `firstA` times tile B's tokens, summed over the columns.
template <int kDim, int kRowsA, int kColumns>
DDSC_DEVICE void multiplyTokens(WarpSums<kColumns>& sums, Shared<bf16> a, int firstA, Shared<bf16> b) {
#pragma unroll
  for (int i = 0; i < kColumns / 8; ++i) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0.0f;
#pragma unroll
  for (int step = 0; step < kDim; step += 16) {
    std::uint32_t left[4];
    HeadTile<kDim, kRowsA>::loadA(left, a, firstA, step);
#pragma unroll
    for (int i = 0; i < kColumns / 16; ++i) {
      std::uint32_t right[4];
      HeadTile<kDim, kColumns>::loadTokensB(right, b, 16 * i, step);
      multiplyAccumulate(sums[2 * i], left, right[0], right[1]);
      multiplyAccumulate(sums[2 * i + 1], left, right[2], right[3]);
    }
  }
}

/// sums[16 x kDim of a warp] += weights [16 x kTokens], as `multiplyTokens` leaves them, times tile B's
/// tokens.
template <int kDim, int kTokens>
DDSC_DEVICE void multiplyWeights(WarpSums<kDim>& sums, const WarpSums<kTokens>& weights, Shared<bf16> b) {
#pragma unroll
  for (int i = 0; i < kTokens / 16; ++i) {
    const float (&low)[4] = weights[2 * i], (&high)[4] = weights[2 * i + 1];
    const std::uint32_t left[4] = {packBf16(low[0], low[1]), packBf16(low[2], low[3]),
                                   packBf16(high[0], high[1]), packBf16(high[2], high[3])};
#pragma unroll
    for (int j = 0; j < kDim / 16; ++j) {
      std::uint32_t right[4];
      HeadTile<kDim, kTokens>::loadColumnsB(right, b, 16 * i, 16 * j);
      multiplyAccumulate(sums[2 * j], left, right[0], right[1]);
      multiplyAccumulate(sums[2 * j + 1], left, right[2], right[3]);
    }
  }
}

/// A block's 64 finished rows of a head as float32 in shared memory, to be written out row by row.
template <int kDim>
struct HeadResult {
  static constexpr int kRows = 16 * kAttentionWarps, kStride = kDim + 8;
  static constexpr std::size_t kBytes = sizeof(float) * kRows * static_cast<std::size_t>(kStride);

  /// The warp's 16 rows; row g times factors[0], row g + 8 times factors[1].
  DDSC_DEVICE static void put(Shared<float> tile, const WarpSums<kDim>& sums, float factor0, float factor1) {
    const int group = laneIndex() / 4, pair = laneIndex() % 4 * 2, row = warpIndex() * 16 + group;
#pragma unroll
    for (int i = 0; i < kDim / 8; ++i) {
      tile.template store<2>(row * kStride + 8 * i + pair, {{sums[i][0] * factor0, sums[i][1] * factor0}});
      tile.template store<2>((row + 8) * kStride + 8 * i + pair,
                             {{sums[i][2] * factor1, sums[i][3] * factor1}});
    }
  }

  /// The block's rows to columns firstCol + head * headDim of `out`.
  DDSC_DEVICE static void write(Shared<float> tile, const HeadPlace& at, int headDim, const View<bf16>& out,
                                std::int64_t firstCol) {
    const int runs = (headDim + kRun - 1) / kRun;
    for (int i = threadIndex(); i < kRows * runs; i += kAttentionThreads) {
      const int row = i / runs, col = i % runs * kRun;
      if (at.first + row >= at.length) continue;
      out.store(at.start + at.first + row, firstCol + static_cast<std::int64_t>(at.head) * headDim + col,
                least(headDim - col, kRun), tile.template load<kRun>(row * kStride + col));
    }
  }

  /// The same, turned back by the rotary angle of each row.
  DDSC_DEVICE static void writeUnrotated(Shared<float> tile, const HeadPlace& at, int headDim,
                                         const Rotation& rotation, Rows<bf16> out, std::int64_t firstCol) {
    const int half = headDim / 2;
    for (int i = threadIndex(); i < kRows * half; i += kAttentionThreads) {
      const int row = i / half, pair = i % half;
      if (at.first + row >= at.length) continue;
      const Vector<float, 2> turn = rotation.at(at.start + at.first + row, pair, half);
      const float a = tile[row * kStride + pair], b = tile[row * kStride + half + pair];
      const Global<bf16> to = out[at.start + at.first + row];
      const std::int64_t col = firstCol + static_cast<std::int64_t>(at.head) * headDim + pair;
      to[col] = toBf16(a * turn.value[0] + b * turn.value[1]);
      to[col + half] = toBf16(b * turn.value[0] - a * turn.value[1]);
    }
  }
};

/// q, k and v as the tiles read them.
struct PackedHeads {
  Heads query, key, value;
};

/// The heads of query and keyValue, q and k rotated. Packed into `memory`, query [rows, heads, dim] and
/// keyValue [key rows, 2, heads, dim] behind it, where they are rotated, narrower than the tile or not
/// aligned for 16-byte copies.
PackedHeads packHeads(Context& context, const ConstMatrix& query, const ConstMatrix& keyValue,
                      std::int64_t heads, int dim, const RotaryTable& rotary, const Ragged& cells,
                      const Ragged& keys, bf16* memory);
/// The same of a [rows, heads * headDim] matrix, without rotation; `memory` is [rows, heads, dim].
Heads packPlain(Context& context, const ConstMatrix& matrix, std::int64_t heads, int dim, bf16* memory);

}  // namespace ddsc::cuda
