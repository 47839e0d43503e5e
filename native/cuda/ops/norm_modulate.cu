// Layer norm with a gain, modulated per cell: a warp a row, which stays in the first-level cache between its
// passes; only mean and rstd are kept. With s0 = sum of dy and s1 = sum of dy * normalise(x) over a cell's
// rows, the gradient has dshift = s0, dscale = gain * s1 and dgain = sum over cells of (1 + scale) * s1.

#include "cuda/ops/cell_sums.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr float kEpsilon = 1e-5f;

template <class T>
DDSC_KERNEL(kRowThreads)
normaliseRows(View<const float> x, View<const float> gain, View<const float> shift, View<const float> scale,
              Global<const std::int32_t> cells, View<T> y, Global<float> means, Global<float> rstds) {
  const std::int64_t row = rowOfWarp(), cols = x.rows.cols;
  if (row >= x.rows.rows) return;
  float total = 0;
  eachRun(cols, [&](std::int64_t col, int count) {
    const Run values = x.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) total += values.value[i];
  });
  const float mean = warpSum(total) / static_cast<float>(cols);
  float squares = 0;
  eachRun(cols, [&](std::int64_t col, int count) {
    const Run values = x.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const float centred = i < count ? values.value[i] - mean : 0.0f;
      squares = fusedMultiplyAdd(centred, centred, squares);
    }
  });
  const float rstd = 1.0f / squareRoot(warpSum(squares) / static_cast<float>(cols) + kEpsilon);
  if (laneIndex() == 0) {
    means[row] = mean;
    rstds[row] = rstd;
  }
  const std::int64_t cell = cells[row];
  eachRun(cols, [&](std::int64_t col, int count) {
    Run values = x.load(row, col, count);
    const Run g = gain.load(0, col, count), a = shift.load(cell, col, count),
              b = scale.load(cell, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const float normal = (values.value[i] - mean) * rstd * g.value[i];
      values.value[i] = fusedMultiplyAdd(normal, 1.0f + b.value[i], a.value[i]);
    }
    y.store(row, col, count, values);
  });
}

/// What a row's gradient reads.
template <class T>
struct GradientInput {
  View<const T> dy;
  View<const float> x, gain, scale;
  Global<const std::int32_t> cells;
  Global<const float> means, rstds;
};

template <class T>
DDSC_KERNEL(kRowThreads)
differentiateRows(GradientInput<T> in, View<float> dx) {
  const std::int64_t row = rowOfWarp(), cols = dx.rows.cols;
  if (row >= dx.rows.rows) return;
  const std::int64_t cell = in.cells[row];
  const float mean = in.means[row], rstd = in.rstds[row];
  // normal[i] and the gradient that reaches it.
  const auto load = [&](std::int64_t col, int count, Run& normal, Run& dnormal) {
    normal = in.x.load(row, col, count);
    dnormal = in.dy.load(row, col, count);
    const Run g = in.gain.load(0, col, count), b = in.scale.load(cell, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      normal.value[i] = (normal.value[i] - mean) * rstd;
      dnormal.value[i] = dnormal.value[i] * (1.0f + b.value[i]) * g.value[i];
    }
  };
  float direct = 0, along = 0;
  eachRun(cols, [&](std::int64_t col, int count) {
    Run normal, dnormal;
    load(col, count, normal, dnormal);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      direct += dnormal.value[i];
      along = fusedMultiplyAdd(dnormal.value[i], normal.value[i], along);
    }
  });
  direct = warpSum(direct) / static_cast<float>(cols);
  along = warpSum(along) / static_cast<float>(cols);
  eachRun(cols, [&](std::int64_t col, int count) {
    Run normal, dnormal;
    load(col, count, normal, dnormal);
    Run sum = dx.load(row, col, count);
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      const float centred = fusedMultiplyAdd(-normal.value[i], along, dnormal.value[i] - direct);
      sum.value[i] = fusedMultiplyAdd(centred, rstd, sum.value[i]);
    }
    dx.store(row, col, count, sum);
  });
}

template <class T>
DDSC_KERNEL(kRowThreads)
sumModulation(GradientInput<T> in, Global<const std::int32_t> offsets, CellSums sums) {
  sumCellRows<2>(offsets, sums, [&](std::int64_t row, std::int64_t col, int count, Run(&own)[2]) {
    const Run dy = in.dy.load(row, col, count), x = in.x.load(row, col, count);
    const float mean = in.means[row], rstd = in.rstds[row];
#pragma unroll
    for (int i = 0; i < kRun; ++i) {
      own[0].value[i] += dy.value[i];
      own[1].value[i] = fusedMultiplyAdd(dy.value[i], (x.value[i] - mean) * rstd, own[1].value[i]);
    }
  });
}

/// A thread a column: every cell's dshift and dscale, and dgain.
DDSC_KERNEL(kRowThreads)
addModulation(Global<const std::int32_t> offsets, CellSums sums, Global<const float> gain,
              Rows<const float> scale, Rows<float> dshift, Rows<float> dscale, Global<float> dgain) {
  const std::int64_t col = threadOfGrid();
  if (col >= sums.cols) return;
  float total = dgain[col];
  for (std::int64_t cell = 0; cell < sums.cells; ++cell) {
    const std::int64_t rows = offsets[cell + 1] - offsets[cell];
    const float s1 = sums.total(cell, rows, 1, col);
    dshift[cell][col] = sums.total(cell, rows, 0, col);
    dscale[cell][col] = gain[col] * s1;
    total = fusedMultiplyAdd(1.0f + scale[cell][col], s1, total);
  }
  dgain[col] = total;
}

}  // namespace

void run(Context& context, const NormModulate& op) {
  withElementType(op.y.type, [&](auto element) {
    using T = decltype(element);
    launch<normaliseRows<T>>(context.stream, "normModulate", warpPerRow(op.x.rows), viewOf<float>(op.x),
                             viewOf(op.gain), viewOf<float>(op.shift), viewOf<float>(op.scale),
                             globalOf(op.cell), viewOf<T>(op.y), globalOf(op.mean), globalOf(op.rstd));
  });
}

void run(Context& context, const NormModulateGradient& op) {
  const CellSums sums = cellSums(context.scratch, op.cells, 2, op.x.cols);
  withElementType(op.dy.type, [&](auto element) {
    using T = decltype(element);
    const GradientInput<T> input{viewOf<T>(op.dy),        viewOf<float>(op.x),     viewOf(op.gain),
                                 viewOf<float>(op.scale), globalOf(op.cells.cell), globalOf(op.mean),
                                 globalOf(op.rstd)};
    launch<sumModulation<T>>(context.stream, "normModulateGradient", cellSumShape<2>(sums), input,
                             globalOf(op.cells.offsets), sums);
    launch<differentiateRows<T>>(context.stream, "normModulateGradient", warpPerRow(op.x.rows), input,
                                 viewOf<float>(op.dx));
  });
  launch<addModulation>(context.stream, "normModulateGradient",
                        {.x = ceilDivide(op.x.cols, kRowThreads), .threads = kRowThreads},
                        globalOf(op.cells.offsets), sums, globalOf(op.gain), rowsOf<float>(op.scale),
                        rowsOf<float>(op.dshift), rowsOf<float>(op.dscale), globalOf(op.dgain));
}

}  // namespace ddsc::cuda
