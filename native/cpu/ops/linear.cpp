// Linear layers: three products over one blocked multiplication (gemm.h), differing in which operand is read
// along rows and in what happens to a finished tile. Fused there, in the cache: bias, activation, residual,
// the activation's derivative, accumulation into the gradient, rounding to bf16. None of them costs a pass
// over memory of its own.

#include "cpu/ops/gemm_bf16.h"
#include "cpu/ops/kernels.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

DDSC_INLINE F activate(Activation activation, F x) {
  switch (activation) {
    case Activation::geluTanh: return geluTanh(x);
    case Activation::silu: return silu(x);
    case Activation::none: break;
  }
  return x;
}

DDSC_INLINE F activationDerivative(Activation activation, F x) {
  switch (activation) {
    case Activation::geluTanh: return geluTanhDerivative(x);
    case Activation::silu: return siluDerivative(x);
    case Activation::none: break;
  }
  return set1(1.0f);
}

DDSC_INLINE F loadFrom(const ConstMatrix& m, std::int64_t row, std::int64_t col, std::int64_t count) {
  return m.type == DType::f32 ? load(m.row<float>(row) + col, count) : load(m.row<bf16>(row) + col, count);
}

DDSC_INLINE void storeTo(const Matrix& m, std::int64_t row, std::int64_t col, F value, std::int64_t count) {
  if (m.type == DType::f32) {
    store(m.row<float>(row) + col, value, count);
  } else {
    store(m.row<bf16>(row) + col, value, count);
  }
}

/// An epilogue that calls body(row, col, count, value) for each vector of a tile, row by row.
template <class Body>
DDSC_INLINE auto onEachVector(const Body& body) {
  return [body](std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols, const float* tile) {
    if (cols == kTileCols) {
      // The count is a constant here, so that no load or store is masked.
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < kTileCols; j += kWidth)
          body(row + i, col + j, kWidth, load(tile + i * kTileCols + j));
    } else {
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < cols; j += kWidth)
          body(row + i, col + j, least(kWidth, cols - j), load(tile + i * kTileCols + j));
    }
  };
}

}  // namespace

void linear(Context& context, const Linear& op) {
  const Product product = {.a = {op.x.data, op.x.stride, op.x.type, true},
                           .b = {op.weight.data, op.weight.stride, op.weight.type, true},
                           .rows = op.x.rows,
                           .cols = op.weight.rows,
                           .steps = op.x.cols};
  const auto finish = [&op](std::int64_t row, std::int64_t col, std::int64_t count, F value)
                          __attribute__((always_inline)) {
                            if (op.bias) value = value + load(op.bias.data + col, count);
                            if (op.preactivation) storeTo(op.preactivation, row, col, value, count);
                            value = activate(op.activation, value);
                            if (op.residual) value = value + loadFrom(op.residual, row, col, count);
                            storeTo(op.y, row, col, value, count);
                          };
  multiplyByType(context, product, onEachVector(finish));
}

void linearInputGradient(Context& context, const LinearInputGradient& op) {
  const Product product = {.a = {op.dy.data, op.dy.stride, op.dy.type, true},
                           .b = {op.weight.data, op.weight.stride, op.weight.type, false},
                           .rows = op.dy.rows,
                           .cols = op.weight.cols,
                           .steps = op.dy.cols};
  const auto finish = [&op](std::int64_t row, std::int64_t col, std::int64_t count,
                            F value) __attribute__((always_inline)) {
    if (op.activation != Activation::none)
      value = value * activationDerivative(op.activation, loadFrom(op.preactivation, row, col, count));
    storeTo(op.dx, row, col, value, count);
  };
  multiplyByType(context, product, onEachVector(finish));
}

void linearWeightGradient(Context& context, const LinearWeightGradient& op) {
  const Product product = {.a = {op.dy.data, op.dy.stride, op.dy.type, false},
                           .b = {op.x.data, op.x.stride, op.x.type, false},
                           .rows = op.dy.cols,
                           .cols = op.x.cols,
                           .steps = op.dy.rows,
                           .packing = Packing::perTask,
                           .rowSums = op.dbias};
  const auto finish = [&op](std::int64_t row, std::int64_t col, std::int64_t count, F value)
                          __attribute__((always_inline)) {
                            float* to = op.dweight.row<float>(row) + col;
                            store(to, load(to, count) + value, count);
                          };
  accumulateByType(context, product, onEachVector(finish));
}

}  // namespace ddsc::cpu::DDSC_ISA
