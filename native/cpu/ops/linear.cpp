// Linear layers: three products over one blocked multiplication (gemm.h), differing in which operand is read
// along rows and in what happens to a finished tile. Fused there, in the cache: bias, activation, residual,
// the activation's derivative, accumulation into the gradient, rounding to bf16. None of them costs a pass
// over memory of its own.

#include "cpu/gemm/gemm_bf16.h"
#include "cpu/ops/kernels.h"
#include "cpu/ops/linear_epilogue.h"

namespace ddsc::cpu::DDSC_ISA {

void run(Context& context, const Linear& op) {
  const Product product = {.a = {op.x.data, op.x.stride, op.x.type, true},
                           .b = {op.weight.data, op.weight.stride, op.weight.type, true},
                           .rows = op.x.rows,
                           .cols = op.weight.rows,
                           .steps = op.x.cols,
                           .weightVersion = op.weightVersion};
  const RowSink preactivation(context, op.preactivation), y(context, op.y);
  const RowSource residual(op.residual);
  // By value, so that the compiler need not read them again after every store.
  const auto finish = [=, bias = op.bias.data, activation = op.activation](std::int64_t row, std::int64_t col,
                                                                           TileRow values, auto lanes)
                          __attribute__((always_inline)) {
                            if (bias != nullptr) values = values + loadRow(bias + col, lanes);
                            if (preactivation) preactivation.put(row, col, values, lanes);
                            values = activate(activation, values);
                            if (residual) values = values + residual.get(row, col, lanes);
                            y.put(row, col, values, lanes);
                          };
  const auto ahead = [](std::int64_t, std::int64_t) {};
  multiplyByType(context, product, RowEpilogue{finish, ahead});
}

void run(Context& context, const LinearInputGradient& op) {
  const Product product = {.a = {op.dy.data, op.dy.stride, op.dy.type, true},
                           .b = {op.weight.data, op.weight.stride, op.weight.type, false},
                           .rows = op.dy.rows,
                           .cols = op.weight.cols,
                           .steps = op.dy.cols,
                           .weightVersion = op.weightVersion};
  const RowSink dx(context, op.dx);
  const RowSource preactivation(op.preactivation);
  const auto finish = [=, activation = op.activation](std::int64_t row, std::int64_t col, TileRow values,
                                                      auto lanes) __attribute__((always_inline)) {
    if (activation != Activation::none)
      values = values * activationDerivative(activation, preactivation.get(row, col, lanes));
    dx.put(row, col, values, lanes);
  };
  const auto ahead = [=](std::int64_t row, std::int64_t col) __attribute__((always_inline)) {
    if (preactivation) preactivation.fetch(row, col);
  };
  multiplyByType(context, product, RowEpilogue{finish, ahead});
}

void run(Context& context, const LinearWeightGradient& op) {
  // Packed once where several tasks want it and it stays near the processor.
  constexpr std::int64_t mostShared = std::int64_t{4} << 20;
  const bool shared = op.dy.cols > Blocking::kMostRows && op.x.rows * op.x.cols <= mostShared;
  const Product product = {.a = {op.dy.data, op.dy.stride, op.dy.type, false},
                           .b = {op.x.data, op.x.stride, op.x.type, false},
                           .rows = op.dy.cols,
                           .cols = op.x.cols,
                           .steps = op.dy.rows,
                           .packing = shared ? Packing::shared : Packing::perTask,
                           .rowSums = op.dbias};
  const auto finish = [dweight = op.dweight.as<float>(), stride = op.dweight.stride](
                          std::int64_t row, std::int64_t col, const TileRow& values, auto lanes)
                          __attribute__((always_inline)) {
                            float* to = dweight + row * stride + col;
                            storeRow(to, loadRow(to, lanes) + values, lanes);
                          };
  const auto ahead = [dweight = op.dweight.as<float>(), stride = op.dweight.stride](
                         std::int64_t row, std::int64_t col) __attribute__((always_inline)) {
    prefetch(dweight + row * stride + col, kTileCols * sizeOf(DType::f32));
  };
  accumulateByType(context, product, RowEpilogue{finish, ahead});
}

}  // namespace ddsc::cpu::DDSC_ISA
