// Flash attention, backward: over blocks of keys, over blocks of queries, the probabilities are computed
// again from the saved log-sum-exp and used for all three gradients. With P the probabilities and D =
// rowsum(dout * out):
//   dv = Pᵀ dout,  dS = P (dout vᵀ - D),  dq = dS k / sqrt(headDim),  dk = dSᵀ q / sqrt(headDim)
// in rotated coordinates, rotated back when written. Scores are in base 2, as in forward. Nothing of size
// queries x keys is kept. A task is one head of one cell, or a part of its keys, so every gradient is summed
// by one thread in a fixed order; what computes it depends on the type and the level's units.

#include "cpu/ops/attention_gradient_float.h"
#include "cpu/ops/attention_gradient_pairs.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

DDSC_INLINE void addTiles(const float* from, std::int64_t floats, float* to) {
  for (std::int64_t i = 0; i < floats; i += kWidth) store(to + i, load(to + i) + load(from + i));
}

template <class Unit, class T>
void differentiateHead(const AttentionGradientTask<T>& task, const typename Unit::Buffers& buffers) {
  Unit::packQueries(task, buffers);
  Unit::differentiatePart(task, buffers, 0, buffers.queryGradient);
  for (std::int64_t part = 1; part < Unit::partsOf(task.keys); ++part) {
    Unit::differentiatePart(task, buffers, part, buffers.partGradient);
    addTiles(buffers.partGradient, Unit::queryGradientFloats(task.queries, task.query.dim),
             buffers.queryGradient);
  }
  Unit::writeQueryGradient(task, buffers.queryGradient, buffers.row);
}

/// The heads of a batch as tasks, cells with most work first.
template <class T>
class Heads {
 public:
  Heads(const AttentionGradient& op, const std::int32_t* order)
      : op_(op), order_(order), dim_(op.out.cols), headDim_(dim_ / op.heads) {}

  AttentionGradientTask<T> operator[](std::int64_t index) const {
    const std::int64_t cell = order_[index / op_.heads], head = index % op_.heads;
    const std::int64_t firstRow = op_.cells.offsets[cell], firstKey = op_.keys.offsets[cell];
    const auto read = [&](const ConstMatrix& m, std::int64_t row, std::int64_t firstCol) {
      return Head<const T>{m.row<T>(row) + firstCol + head * headDim_, m.stride, headDim_};
    };
    const auto write = [&](const Matrix& m, std::int64_t row, std::int64_t firstCol) {
      return Head<T>{m.row<T>(row) + firstCol + head * headDim_, m.stride, headDim_};
    };
    return {.query = read(op_.query, firstRow, 0),
            .key = read(op_.keyValue, firstKey, 0),
            .value = read(op_.keyValue, firstKey, dim_),
            .out = read(op_.out, firstRow, 0),
            .dout = read(op_.dout, firstRow, 0),
            .queryGradient = write(op_.dquery, firstRow, 0),
            .keyGradient = write(op_.dkeyValue, firstKey, 0),
            .valueGradient = write(op_.dkeyValue, firstKey, dim_),
            .logSumExp = op_.logSumExp.row<float>(firstRow) + head,
            .logSumExpStride = op_.logSumExp.stride,
            .queryRotation = Rotation(op_.rotary, op_.cells, firstRow),
            .keyRotation = Rotation(op_.rotary, op_.keys, firstKey),
            .queries = op_.cells.offsets[cell + 1] - firstRow,
            .keys = op_.keys.offsets[cell + 1] - firstKey,
            .scale = 1.0f / __builtin_sqrtf(static_cast<float>(headDim_))};
  }

 private:
  const AttentionGradient& op_;
  const std::int32_t* order_;
  std::int64_t dim_, headDim_;
};

/// In storage of type T on `Unit`.
template <class T, class Unit>
void attentionGradientOf(Context& context, const AttentionGradient& op) {
  const Ragged& cells = op.cells;
  const std::int64_t mostQueries = cells.longest, mostKeys = op.keys.longest,
                     headDim = op.out.cols / op.heads;
  if (mostKeys == 0) return;
  Arena measure;
  typename Unit::Buffers(measure, mostQueries, mostKeys, headDim);

  const std::int64_t count = cells.cells() * op.heads, parts = Unit::partsOf(mostKeys);
  const std::int64_t partFloats = Unit::queryGradientFloats(mostQueries, headDim);
  constexpr std::int64_t mostPartFloats = std::int64_t{64} << 20;
  const std::int64_t threads = context.pool.threads();
  const bool split =
      parts > 1 && threads > 1 && count < 4 * threads && count * parts * partFloats <= mostPartFloats;
  const std::int64_t orderInts = ceilDivide(cellOrderInts(cells), 16) * 16;
  auto* memory = static_cast<float*>(context.scratch.shared(
      static_cast<std::size_t>(orderInts + (split ? count * parts * partFloats : 0)) * sizeof(float)));
  float* partGradients = memory + orderInts;
  const Heads<T> heads(op, mostWorkFirst(cells, op.keys, reinterpret_cast<std::int32_t*>(memory)));
  const auto buffersOf = [&](int worker) {
    Arena arena(static_cast<float*>(context.scratch.worker(worker, measure.bytes())));
    return typename Unit::Buffers(arena, mostQueries, mostKeys, headDim);
  };

  if (!split) {
    context.pool.parallel(count, [&](std::int64_t index, int worker) {
      const AttentionGradientTask<T> task = heads[index];
      if (task.queries == 0) return zeroKeyGradients(task);
      differentiateHead<Unit>(task, buffersOf(worker));
    });
    return;
  }
  context.pool.parallel(count * parts, [&](std::int64_t index, int worker) {
    const AttentionGradientTask<T> task = heads[index / parts];
    if (index % parts >= Unit::partsOf(task.keys)) return;
    if (task.queries == 0) {
      if (index % parts == 0) zeroKeyGradients(task);
      return;
    }
    const typename Unit::Buffers buffers = buffersOf(worker);
    Unit::packQueries(task, buffers);
    Unit::differentiatePart(task, buffers, index % parts, partGradients + index * partFloats);
  });
  context.pool.parallel(count, [&](std::int64_t index, int worker) {
    const AttentionGradientTask<T> task = heads[index];
    if (task.queries == 0) return;
    float* total = partGradients + index * parts * partFloats;
    for (std::int64_t part = 1; part < Unit::partsOf(task.keys); ++part)
      addTiles(total + part * partFloats, Unit::queryGradientFloats(task.queries, headDim), total);
    Unit::writeQueryGradient(task, total, buffersOf(worker).row);
  });
}

}  // namespace

void run(Context& context, const AttentionGradient& op) {
  if (op.query.type == DType::f32) {
    attentionGradientOf<float, FloatAttentionGradient>(context, op);
  } else {
#if defined(DDSC_PAIR_UNITS)
    attentionGradientOf<bf16, PairAttentionGradient>(context, op);
#else
    attentionGradientOf<bf16, FloatAttentionGradient>(context, op);
#endif
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
