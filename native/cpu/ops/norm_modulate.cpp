// Layer norm with a gain, modulated per cell, in one sweep over the rows; only mean and rstd are kept. The
// gradient is one sweep too: a row's sums, then its dx from cache. With s0 = sum of dy and s1 = sum of dy *
// normalise(x) over a cell's rows, dshift = s0, dscale = gain * s1 and dgain = sum over cells of (1 + scale)
// * s1: chunks of rows within a cell keep s0 and s1, then chunks are added in order.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;
constexpr std::int64_t kColumnsPerTask = 64;
constexpr float kEpsilon = 1e-5f;

template <class T>
void normaliseRow(const NormModulate& op, std::int64_t row) {
  const std::int64_t dim = op.x.cols;
  const float* x = op.x.row<float>(row);
  F total = zero();
  eachVector(dim, [&](std::int64_t i, auto lanes) { total = total + load(x + i, lanes); });
  const float mean = sum(total) / static_cast<float>(dim);
  const F meanLanes = set1(mean);
  F squares = zero();
  eachVector(dim, [&](std::int64_t i, auto lanes) {
    const F centred = keep(load(x + i, lanes) - meanLanes, zero(), lanes);
    squares = fma(centred, centred, squares);
  });
  const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(dim) + kEpsilon);
  op.mean[row] = mean;
  op.rstd[row] = rstd;

  const std::int64_t cell = op.cell[row];
  const float *gain = op.gain.data, *shift = op.shift.row<float>(cell), *scale = op.scale.row<float>(cell);
  T* y = op.y.row<T>(row);
  const F rstdLanes = set1(rstd), one = set1(1.0f);
  eachVector(dim, [&](std::int64_t i, auto lanes) {
    const F normal = (load(x + i, lanes) - meanLanes) * rstdLanes * load(gain + i, lanes);
    store(y + i, fma(normal, one + load(scale + i, lanes), load(shift + i, lanes)), lanes);
  });
}

/// Adds one row to its chunk's s0 and s1 and writes its dx.
template <class T>
void normaliseRowGradient(const NormModulateGradient& op, std::int64_t row, const float* scale, float* s0,
                          float* s1) {
  const std::int64_t dim = op.x.cols;
  const float *x = op.x.row<float>(row), *gain = op.gain.data;
  const T* dy = op.dy.row<T>(row);
  const F mean = set1(op.mean[row]), rstd = set1(op.rstd[row]), one = set1(1.0f);
  F direct = zero(), along = zero();
  eachVector(dim, [&](std::int64_t i, auto lanes) {
    const F gradient = load(dy + i, lanes);
    const F normal = (load(x + i, lanes) - mean) * rstd;
    const F dnormal = gradient * (one + load(scale + i, lanes)) * load(gain + i, lanes);
    direct = direct + dnormal;
    along = fma(dnormal, normal, along);
    store(s0 + i, load(s0 + i, lanes) + gradient, lanes);
    store(s1 + i, fma(gradient, normal, load(s1 + i, lanes)), lanes);
  });
  const F directMean = set1(sum(direct) / static_cast<float>(dim));
  const F alongMean = set1(sum(along) / static_cast<float>(dim));
  float* dx = op.dx.row<float>(row);
  eachVector(dim, [&](std::int64_t i, auto lanes) {
    const F normal = (load(x + i, lanes) - mean) * rstd;
    const F dnormal = load(dy + i, lanes) * (one + load(scale + i, lanes)) * load(gain + i, lanes);
    store(dx + i, fma(fnma(normal, alongMean, dnormal - directMean), rstd, load(dx + i, lanes)), lanes);
  });
}

/// dshift, dscale and dgain of columns first .. last - 1 from the chunks' sums.
void addChunks(const NormModulateGradient& op, const CellChunks& chunks, std::int64_t first,
               std::int64_t last) {
  const std::int64_t dim = op.x.cols;
  eachVector(last - first, [&](std::int64_t i, auto lanes) {
    const std::int64_t column = first + i;
    const F gain = load(op.gain.data + column, lanes);
    F dgain = load(op.dgain.data + column, lanes);
    std::int64_t chunk = 0;
    for (std::int64_t cell = 0; cell < op.cells.cells(); ++cell) {
      F s0 = zero(), s1 = zero();
      for (; chunk < chunks.count && chunks.chunk[chunk].cell == cell; ++chunk) {
        s0 = s0 + load(chunks.sumsOf(chunk) + column, lanes);
        s1 = s1 + load(chunks.sumsOf(chunk) + dim + column, lanes);
      }
      store(op.dshift.row<float>(cell) + column, s0, lanes);
      store(op.dscale.row<float>(cell) + column, gain * s1, lanes);
      dgain = fma(set1(1.0f) + load(op.scale.row<float>(cell) + column, lanes), s1, dgain);
    }
    store(op.dgain.data + column, dgain, lanes);
  });
}

}  // namespace

void run(Context& context, const NormModulate& op) {
  withElementType(op.y.type, [&](auto element) {
    using T = decltype(element);
    parallelChunks(context, op.x.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
      for (std::int64_t row = first; row < last; ++row) normaliseRow<T>(op, row);
    });
  });
}

void run(Context& context, const NormModulateGradient& op) {
  const std::int64_t dim = op.x.cols;
  const CellChunks chunks = cutCells(context, op.cells.offsets, 2 * dim);
  withElementType(op.dy.type, [&](auto element) {
    using T = decltype(element);
    context.pool.parallel(chunks.count, [&](std::int64_t index, int) {
      const CellChunk& chunk = chunks.chunk[index];
      const float* scale = op.scale.row<float>(chunk.cell);
      float* sums = chunks.sumsOf(index);
      __builtin_memset(sums, 0, static_cast<std::size_t>(2 * dim) * sizeof(float));
      for (std::int64_t row = chunk.first; row < chunk.last; ++row)
        normaliseRowGradient<T>(op, row, scale, sums, sums + dim);
    });
  });
  parallelChunks(context, dim, kColumnsPerTask,
                 [&](std::int64_t first, std::int64_t last, int) { addChunks(op, chunks, first, last); });
}

}  // namespace ddsc::cpu::DDSC_ISA
