// The end of a residual branch: dropout, the cell's gate and the residual sum in one sweep. The dropout mask
// is drawn where it is used, forward and backward alike, and never stored. In the gradient, chunks of rows
// within a cell keep their part of dgate; parts are added in order.

#include "cpu/ops/kernels.h"
#include "cpu/philox_simd.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;
constexpr std::int64_t kColumnsPerTask = 64;

/// body(i, factor, lanes) over the row's columns, factor being dropout's.
template <bool dropping, class Body>
DDSC_INLINE void eachFactor(const Dropout& dropout, const Ragged& cells, std::int64_t cell, std::int64_t row,
                            std::int64_t dim, const Body& body) {
  if constexpr (dropping) {
    const DropoutRow drawn(dropout, cells.cellIndex[cell], cells.position[row]);
    for (std::int64_t first = 0; first < dim; first += DropoutRow::kColumns) {
      F factor[4];
      drawn.factors(first, factor);
      for (int j = 0; j < 4; ++j) {
        const std::int64_t column = first + j * kWidth;
        if (column + kWidth <= dim) {
          body(column, factor[j], AllLanes{});
        } else if (column < dim) {
          body(column, factor[j], FirstLanes{dim - column});
        }
      }
    }
  } else {
    eachVector(dim, [&](std::int64_t column, auto lanes) { body(column, set1(1.0f), lanes); });
  }
}

template <class T, bool dropping>
void addGated(const GateResidual& op, std::int64_t row) {
  const std::int64_t cell = op.cells.cell[row];
  const float *x = op.x.row<float>(row), *gate = op.gate.row<float>(cell);
  const T* h = op.h.row<T>(row);
  float* y = op.y.row<float>(row);
  eachFactor<dropping>(op.dropout, op.cells, cell, row, op.x.cols, [&](std::int64_t i, F factor, auto lanes) {
    store(y + i, fma(load(gate + i, lanes), load(h + i, lanes) * factor, load(x + i, lanes)), lanes);
  });
}

/// Writes the row's dh and adds to its chunk's part of dgate.
template <class T, bool dropping>
void gatedGradient(const GateResidualGradient& op, std::int64_t cell, std::int64_t row, float* dgate) {
  const float *dy = op.dy.row<float>(row), *gate = op.gate.row<float>(cell);
  const T* h = op.h.row<T>(row);
  T* dh = op.dh.row<T>(row);
  eachFactor<dropping>(op.dropout, op.cells, cell, row, op.dy.cols,
                       [&](std::int64_t i, F factor, auto lanes) {
                         const F dropped = load(dy + i, lanes) * factor;
                         store(dgate + i, fma(dropped, load(h + i, lanes), load(dgate + i, lanes)), lanes);
                         store(dh + i, load(gate + i, lanes) * dropped, lanes);
                       });
}

template <class T, bool dropping>
void runForward(Context& context, const GateResidual& op) {
  parallelChunks(context, op.x.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t row = first; row < last; ++row) addGated<T, dropping>(op, row);
  });
}

template <class T, bool dropping>
void runGradient(Context& context, const GateResidualGradient& op) {
  const std::int64_t dim = op.dy.cols;
  const CellChunks chunks = cutCells(context, op.cells.offsets, dim);
  context.pool.parallel(chunks.count, [&](std::int64_t index, int) {
    const CellChunk& chunk = chunks.chunk[index];
    float* dgate = chunks.sumsOf(index);
    __builtin_memset(dgate, 0, static_cast<std::size_t>(dim) * sizeof(float));
    for (std::int64_t row = chunk.first; row < chunk.last; ++row)
      gatedGradient<T, dropping>(op, chunk.cell, row, dgate);
  });
  parallelChunks(context, dim, kColumnsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    eachVector(last - first, [&](std::int64_t i, auto lanes) {
      const std::int64_t column = first + i;
      std::int64_t chunk = 0;
      for (std::int64_t cell = 0; cell < op.cells.cells(); ++cell) {
        F total = zero();
        for (; chunk < chunks.count && chunks.chunk[chunk].cell == cell; ++chunk)
          total = total + load(chunks.sumsOf(chunk) + column, lanes);
        store(op.dgate.row<float>(cell) + column, total, lanes);
      }
    });
  });
}

}  // namespace

void run(Context& context, const GateResidual& op) {
  withElementType(op.h.type, [&](auto element) {
    using T = decltype(element);
    if (op.dropout.probability > 0) {
      runForward<T, true>(context, op);
    } else {
      runForward<T, false>(context, op);
    }
  });
}

void run(Context& context, const GateResidualGradient& op) {
  withElementType(op.h.type, [&](auto element) {
    using T = decltype(element);
    if (op.dropout.probability > 0) {
      runGradient<T, true>(context, op);
    } else {
      runGradient<T, false>(context, op);
    }
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
