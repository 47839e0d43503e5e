// Attention on the plain units: a warp takes one token (a query, or in the second half of backward a key) of
// one head, and walks the others 32 at a time, a lane each, from shared memory; weights then go around the
// warp by shuffles while the lanes own columns of the result. Sums run in a fixed order.

#include "cuda/ops/attention_plain.h"

#include "core/errors.h"
#include "cuda/ops/attention.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kTokens = 32, kOwn = kWarpsPerBlock;
constexpr int kMostDim = 256, kColumns = kMostDim / kWarpSize;  // of a lane

/// One head of a matrix: columns first .. first + dim - 1.
template <class T>
struct PlainHead {
  Rows<const T> rows;
  std::int64_t firstCol;
  int dim;

  DDSC_DEVICE float at(std::int64_t row, int col) const { return toFloat(rows[row][firstCol + col]); }
};

/// `count` tokens of a head as [count][stride]; those past the cell become 0. Rotated where a rotation is
/// given.
template <class T>
DDSC_DEVICE void bring(Shared<float> tile, int stride, int count, const PlainHead<T>& head,
                       const HeadPlace& at, int first, const Rotation* rotation) {
  const int half = head.dim / 2;
  for (int i = threadIndex(); i < count * half; i += kRowThreads) {
    const int token = i / half, pair = i % half;
    const bool inside = first + token < at.length;
    const std::int64_t row = at.start + first + token;
    const float a = inside ? head.at(row, pair) : 0.0f, b = inside ? head.at(row, pair + half) : 0.0f;
    Vector<float, 2> turn{{1.0f, 0.0f}};
    if (rotation != nullptr && inside) turn = rotation->at(row, pair, half);
    tile[token * stride + pair] = a * turn.value[0] - b * turn.value[1];
    tile[token * stride + half + pair] = b * turn.value[0] + a * turn.value[1];
  }
}

DDSC_DEVICE float dot(Shared<float> a, Shared<float> b, int dim) {
  float sum = 0;
  for (int i = 0; i < dim; ++i) sum = fusedMultiplyAdd(a[i], b[i], sum);
  return sum;
}

/// sums[c] += sum over the lanes' weights of weight * row of the tile, at this lane's columns.
DDSC_DEVICE void addWeighted(float (&sums)[kColumns], float weight, Shared<float> tile, int stride, int dim) {
  for (int token = 0; token < kTokens; ++token) {
    const float w = shuffle(weight, token);
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const int col = laneIndex() + c * kWarpSize;
      if (col < dim) sums[c] = fusedMultiplyAdd(w, tile[token * stride + col], sums[c]);
    }
  }
}

/// A row of a result from the lanes' columns; turned back by the row's rotary angle where one is given.
/// `line` is the warp's own in shared memory.
template <class T>
DDSC_DEVICE void writeRow(const float (&sums)[kColumns], float factor, Shared<float> line, int dim,
                          std::int64_t row, Global<T> to, const Rotation* rotation) {
  syncWarp();
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const int col = laneIndex() + c * kWarpSize;
    if (col < dim) line[col] = sums[c] * factor;
  }
  syncWarp();
  const int half = dim / 2;
  for (int pair = laneIndex(); pair < half; pair += kWarpSize) {
    const float a = line[pair], b = line[half + pair];
    Vector<float, 2> turn{{1.0f, 0.0f}};
    if (rotation != nullptr) turn = rotation->at(row, pair, half);
    to[pair] = fromFloat<T>(a * turn.value[0] + b * turn.value[1]);
    to[half + pair] = fromFloat<T>(b * turn.value[0] - a * turn.value[1]);
  }
}

/// The matrices of an op and what a kernel needs to find a head in them.
template <class T>
struct PlainInput {
  Rows<const T> queries, keyValues, dout;
  Rows<const float> logSumExp;
  Global<const float> delta;  // [rows, heads]
  Sides sides;
  Rotation queryRotation, keyRotation;
  int heads, headDim;
  float scale;

  DDSC_DEVICE PlainHead<T> query(int head) const { return {queries, firstCol(0, head), headDim}; }
  DDSC_DEVICE PlainHead<T> key(int head) const { return {keyValues, firstCol(0, head), headDim}; }
  DDSC_DEVICE PlainHead<T> value(int head) const { return {keyValues, firstCol(1, head), headDim}; }
  DDSC_DEVICE PlainHead<T> gradient(int head) const { return {dout, firstCol(0, head), headDim}; }
  /// Of a head in part `which` of a matrix.
  DDSC_DEVICE std::int64_t firstCol(int which, int head) const {
    return static_cast<std::int64_t>(which * heads + head) * headDim;
  }
  DDSC_DEVICE float deltaOf(std::int64_t row, int head) const { return delta[row * heads + head]; }
};

/// Shared memory of a block: two tiles of 32 tokens and two of the warps' own.
struct PlainMemory {
  Shared<float> first, second, ownFirst, ownSecond;
  int stride;

  DDSC_DEVICE explicit PlainMemory(int dim) : stride(dim + 1) {
    SharedMemory memory;
    first = memory.take<float>(kTokens * stride);
    second = memory.take<float>(kTokens * stride);
    ownFirst = memory.take<float>(kOwn * stride);
    ownSecond = memory.take<float>(kOwn * stride);
  }
  static std::size_t bytes(std::int64_t dim) {
    const auto part = [&](std::int64_t tokens) {
      return static_cast<std::size_t>(ceilDivide(tokens * (dim + 1) * 4, 128) * 128);
    };
    return 2 * part(kTokens) + 2 * part(kOwn);
  }
};

template <class T>
DDSC_KERNEL(kRowThreads)
attendRows(PlainInput<T> in, Rows<T> out, Rows<float> logSumExp) {
  const HeadPlace at = HeadPlace::of(in.sides.own, kOwn);
  if (at.first >= at.length) return;
  const HeadPlace keys = HeadPlace::whole(in.sides.walked);
  const int dim = in.headDim, query = at.first + warpIndex();
  const PlainMemory m(dim);
  const Shared<float> own = m.ownFirst + warpIndex() * m.stride;
  bring(m.ownFirst, m.stride, kOwn, in.query(at.head), at, at.first, &in.queryRotation);
  float highest = -INFINITY, total = 0, sums[kColumns] = {};
  for (int first = 0; first < keys.length; first += kTokens) {
    bring(m.first, m.stride, kTokens, in.key(at.head), keys, first, &in.keyRotation);
    bring(m.second, m.stride, kTokens, in.value(at.head), keys, first, nullptr);
    syncBlock();
    const bool inside = first + laneIndex() < keys.length;
    const float score = dot(own, m.first + laneIndex() * m.stride, dim) * in.scale;
    const float raised = warpMaximum(inside ? score : -INFINITY);
    const float now = raised > highest ? raised : highest;
    const float shrink = expf(highest - now), weight = inside ? expf(score - now) : 0.0f;
    highest = now;
    total = total * shrink + warpSum(weight);
#pragma unroll
    for (int c = 0; c < kColumns; ++c) sums[c] *= shrink;
    addWeighted(sums, weight, m.second, m.stride, dim);
    syncBlock();
  }
  if (query >= at.length) return;
  const std::int64_t row = at.start + query, col = static_cast<std::int64_t>(at.head) * dim;
  if (laneIndex() == 0) logSumExp[row][at.head] = highest + logf(total);
  writeRow(sums, 1.0f / total, own, dim, row, Global<T>{out.data + row * out.stride + col, dim}, nullptr);
}

template <class T>
DDSC_KERNEL(kRowThreads, 3)
differentiateQueries(PlainInput<T> in, Rows<T> dquery) {
  const HeadPlace at = HeadPlace::of(in.sides.own, kOwn);
  if (at.first >= at.length) return;
  const HeadPlace keys = HeadPlace::whole(in.sides.walked);
  const int dim = in.headDim, query = at.first + warpIndex();
  const std::int64_t row = at.start + (query < at.length ? query : at.first);
  const PlainMemory m(dim);
  const Shared<float> q = m.ownFirst + warpIndex() * m.stride, dout = m.ownSecond + warpIndex() * m.stride;
  bring(m.ownFirst, m.stride, kOwn, in.query(at.head), at, at.first, &in.queryRotation);
  bring(m.ownSecond, m.stride, kOwn, in.gradient(at.head), at, at.first, nullptr);
  const float logSumExp = in.logSumExp[row][at.head], delta = in.deltaOf(row, at.head);
  float sums[kColumns] = {};
  for (int first = 0; first < keys.length; first += kTokens) {
    bring(m.first, m.stride, kTokens, in.key(at.head), keys, first, &in.keyRotation);
    bring(m.second, m.stride, kTokens, in.value(at.head), keys, first, nullptr);
    syncBlock();
    const bool inside = first + laneIndex() < keys.length;
    const float score = dot(q, m.first + laneIndex() * m.stride, dim) * in.scale;
    const float weight = inside ? expf(score - logSumExp) : 0.0f;
    const float gradient = weight * (dot(dout, m.second + laneIndex() * m.stride, dim) - delta);
    addWeighted(sums, gradient, m.first, m.stride, dim);
    syncBlock();
  }
  if (query >= at.length) return;
  const std::int64_t col = static_cast<std::int64_t>(at.head) * dim;
  writeRow(sums, in.scale, q, dim, row, Global<T>{dquery.data + row * dquery.stride + col, dim},
           &in.queryRotation);
}

template <class T>
DDSC_KERNEL(kRowThreads, 4)
differentiateKeys(PlainInput<T> in, Rows<T> dkeyValue) {
  const HeadPlace at = HeadPlace::of(in.sides.own, kOwn);
  if (at.first >= at.length) return;
  const HeadPlace asking = HeadPlace::whole(in.sides.walked);
  const int dim = in.headDim, key = at.first + warpIndex();
  const PlainMemory m(dim);
  const Shared<float> k = m.ownFirst + warpIndex() * m.stride, v = m.ownSecond + warpIndex() * m.stride;
  // Where nobody asks, no barrier parts these writes from those of the zeros below.
  if (asking.length > 0) {
    bring(m.ownFirst, m.stride, kOwn, in.key(at.head), at, at.first, &in.keyRotation);
    bring(m.ownSecond, m.stride, kOwn, in.value(at.head), at, at.first, nullptr);
  }
  float keySums[kColumns] = {}, valueSums[kColumns] = {};
  for (int first = 0; first < asking.length; first += kTokens) {
    bring(m.first, m.stride, kTokens, in.query(at.head), asking, first, &in.queryRotation);
    bring(m.second, m.stride, kTokens, in.gradient(at.head), asking, first, nullptr);
    syncBlock();
    float weight = 0, gradient = 0;
    const bool inside = first + laneIndex() < asking.length;
    const float score = dot(k, m.first + laneIndex() * m.stride, dim) * in.scale;
    const float dweight = dot(v, m.second + laneIndex() * m.stride, dim);
    if (inside) {
      const std::int64_t row = asking.start + first + laneIndex();
      weight = expf(score - in.logSumExp[row][at.head]);
      gradient = weight * (dweight - in.deltaOf(row, at.head));
    }
    addWeighted(valueSums, weight, m.second, m.stride, dim);
    addWeighted(keySums, gradient, m.first, m.stride, dim);
    syncBlock();
  }
  if (key >= at.length) return;
  const std::int64_t row = at.start + key;
  const auto to = [&](int which) {
    return Global<T>{dkeyValue.data + row * dkeyValue.stride + in.firstCol(which, at.head), dim};
  };
  writeRow(keySums, in.scale, k, dim, row, to(0), &in.keyRotation);
  writeRow(valueSums, 1.0f, v, dim, row, to(1), nullptr);
}

/// A warp a row: sum over each head's columns.
template <class T>
DDSC_KERNEL(kRowThreads)
sumProducts(Rows<const T> out, Rows<const T> dout, int heads, Global<float> delta) {
  const std::int64_t row = rowOfWarp();
  if (row >= out.rows) return;
  const int headDim = static_cast<int>(out.cols) / heads;
  const Global<const T> a = out[row], b = dout[row];
  for (int head = 0; head < heads; ++head) {
    float sum = 0;
    for (int col = laneIndex(); col < headDim; col += kWarpSize)
      sum = fusedMultiplyAdd(toFloat(a[head * headDim + col]), toFloat(b[head * headDim + col]), sum);
    sum = warpSum(sum);
    if (laneIndex() == 0) delta[row * heads + head] = sum;
  }
}

/// launchPiece(shape, in) for pieces of the cells, `in` with the offsets of each.
template <class T, class LaunchPiece>
void forPieces(const Ragged& own, const Ragged& walked, PlainInput<T> in, const LaunchPiece& launchPiece) {
  forPiecesOfCells(own, walked, in.heads, kOwn,
                   {.threads = kRowThreads, .sharedBytes = PlainMemory::bytes(in.headDim)},
                   [&](const LaunchShape& shape, const Sides& sides) {
                     in.sides = sides;
                     launchPiece(shape, in);
                   });
}

/// What forward and backward both read, all but the offsets.
template <class T, class Op>
PlainInput<T> inputOf(const Op& op) {
  const std::int64_t headDim = op.query.cols / op.heads;
  require(headDim <= kMostDim, "MODEL_HEAD_DIM",
          "on a GPU heads are at most 256 wide; use more heads or device cpu");
  PlainInput<T> in{};
  in.queries = rowsOf<T>(op.query);
  in.keyValues = rowsOf<T>(op.keyValue);
  in.queryRotation = Rotation::of(op.rotary, op.cells);
  in.keyRotation = Rotation::of(op.rotary, op.keys);
  in.heads = static_cast<int>(op.heads);
  in.headDim = static_cast<int>(headDim);
  in.scale = 1.0f / std::sqrt(static_cast<float>(headDim));
  return in;
}

}  // namespace

void attendPlain(Context& context, const Attention& op) {
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    forPieces(op.cells, op.keys, inputOf<T>(op), [&](const LaunchShape& shape, const PlainInput<T>& in) {
      launch<attendRows<T>>(context.stream, "attention", shape, in, rowsOf<T>(op.out),
                            rowsOf<float>(op.logSumExp));
    });
  });
}

void differentiatePlain(Context& context, const AttentionGradient& op) {
  const std::int64_t rows = op.out.rows;
  auto* delta = context.scratch.take<float>(rows * op.heads);
  attentionDelta(context, op.out, op.dout, op.heads, delta);
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    PlainInput<T> whole = inputOf<T>(op);
    whole.dout = rowsOf<T>(op.dout);
    whole.logSumExp = rowsOf<float>(op.logSumExp);
    whole.delta = {delta, rows * op.heads};
    forPieces(op.cells, op.keys, whole, [&](const LaunchShape& shape, const PlainInput<T>& in) {
      launch<differentiateQueries<T>>(context.stream, "attentionGradient", shape, in, rowsOf<T>(op.dquery));
    });
    forPieces(op.keys, op.cells, whole, [&](const LaunchShape& shape, const PlainInput<T>& in) {
      launch<differentiateKeys<T>>(context.stream, "attentionGradient", shape, in, rowsOf<T>(op.dkeyValue));
    });
  });
}

void attentionDelta(Context& context, const ConstMatrix& out, const ConstMatrix& dout, std::int64_t heads,
                    float* delta) {
  withElementType(out.type, [&](auto element) {
    using T = decltype(element);
    launch<sumProducts<T>>(context.stream, "attentionGradient", warpPerRow(out.rows), rowsOf<T>(out),
                           rowsOf<T>(dout), static_cast<int>(heads), Global<float>{delta, out.rows * heads});
  });
}

}  // namespace ddsc::cuda
