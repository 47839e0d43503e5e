// Flash attention, forward (Dao 2023, FlashAttention-2): for each block of queries, over blocks of keys,
// scores, a running maximum and sum of exponentials, and the weighted values rescaled when the maximum rises.
// Rotation is applied while packing, so rotated q and k never reach memory; the scores live in a buffer of
// one block; of the softmax only its log-sum-exp is kept. Scores are in base 2 (log2(e) is part of the
// scale), which makes their exponentials cheaper. A task is a range of queries of one head of one cell; what
// computes it depends on the type and the level's units.

#include "cpu/ops/attention_float.h"
#include "cpu/ops/attention_pairs.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

/// In storage of type T on `Unit`.
template <class T, class Unit>
void attentionOf(Context& context, const Attention& op) {
  const Ragged &cells = op.cells, &keys = op.keys;
  const std::int64_t dim = op.out.cols, headDim = dim / op.heads, longest = cells.longest;
  if (longest == 0) return;
  // Heads of few cells are split so that every thread has work; each query's result is the same in any split.
  std::int64_t chunkQueries = ceilDivide(longest, Unit::kQueryBlock) * Unit::kQueryBlock;
  while (cells.cells() * op.heads * ceilDivide(longest, chunkQueries) < 4 * context.pool.threads() &&
         chunkQueries > 2 * Unit::kQueryBlock)
    chunkQueries = ceilDivide(chunkQueries / Unit::kQueryBlock, 2) * Unit::kQueryBlock;
  const std::int64_t chunks = ceilDivide(longest, chunkQueries);
  const std::int32_t* order = mostWorkFirst(
      cells, keys,
      static_cast<std::int32_t*>(
          context.scratch.shared(static_cast<std::size_t>(cellOrderInts(cells)) * sizeof(std::int32_t))));
  Arena measure;
  typename Unit::Buffers(measure, longest, keys.longest, headDim);

  context.pool.parallel(cells.cells() * op.heads * chunks, [&](std::int64_t index, int worker) {
    const std::int64_t cell = order[index / (op.heads * chunks)], head = index / chunks % op.heads;
    const std::int64_t firstRow = cells.offsets[cell], length = cells.offsets[cell + 1] - firstRow;
    const std::int64_t firstQuery = index % chunks * chunkQueries;
    if (firstQuery >= length) return;
    Arena arena(static_cast<float*>(context.scratch.worker(worker, measure.bytes())));
    const typename Unit::Buffers buffers(arena, longest, keys.longest, headDim);
    const std::int64_t firstKey = keys.offsets[cell];
    const auto read = [&](const ConstMatrix& m, std::int64_t row, std::int64_t firstCol) {
      return Head<const T>{m.row<T>(row) + firstCol + head * headDim, m.stride, headDim};
    };
    const AttentionTask<T> task = {.query = read(op.query, firstRow, 0),
                                   .key = read(op.keyValue, firstKey, 0),
                                   .value = read(op.keyValue, firstKey, dim),
                                   .out = {op.out.row<T>(firstRow) + head * headDim, op.out.stride, headDim},
                                   .logSumExp = op.logSumExp.row<float>(firstRow) + head,
                                   .logSumExpStride = op.logSumExp.stride,
                                   .queryRotation = Rotation(op.rotary, cells, firstRow),
                                   .keyRotation = Rotation(op.rotary, keys, firstKey),
                                   .keys = keys.offsets[cell + 1] - firstKey,
                                   .firstQuery = firstQuery,
                                   .endQuery = least(firstQuery + chunkQueries, length)};
    Unit::attendHead(task, buffers);
  });
}

}  // namespace

void run(Context& context, const Attention& op) {
  if (op.query.type == DType::f32) {
    attentionOf<float, FloatAttention>(context, op);
  } else {
#if defined(DDSC_PAIR_UNITS)
    attentionOf<bf16, PairAttention>(context, op);
#else
    attentionOf<bf16, FloatAttention>(context, op);
#endif
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
