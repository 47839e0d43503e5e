// Conversion between float and bf16, rounding to nearest even.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

template <class From, class To>
void convertRows(Context& context, const Convert& op) {
  // Weights come as one long row or as many short ones: a task is part of a row or several of them.
  const std::int64_t cols = op.out.cols;
  if (cols > kElementsPerTask) {
    for (std::int64_t row = 0; row < op.out.rows; ++row) {
      const From* in = op.in.row<From>(row);
      To* out = op.out.row<To>(row);
      parallelChunks(context, cols, kElementsPerTask, [&](std::int64_t first, std::int64_t last, int) {
        eachVector(last - first, [&](std::int64_t i, auto lanes) {
          store(out + first + i, load(in + first + i, lanes), lanes);
        });
      });
    }
    return;
  }
  if (cols == 0) return;
  parallelChunks(
      context, op.out.rows, ceilDivide(kElementsPerTask, cols),
      [&](std::int64_t first, std::int64_t last, int) {
        for (std::int64_t row = first; row < last; ++row) {
          const From* in = op.in.row<From>(row);
          To* out = op.out.row<To>(row);
          eachVector(cols, [&](std::int64_t i, auto lanes) { store(out + i, load(in + i, lanes), lanes); });
        }
      });
}

}  // namespace

void run(Context& context, const Convert& op) {
  withElementType(op.in.type, [&](auto from) {
    withElementType(op.out.type, [&](auto to) { convertRows<decltype(from), decltype(to)>(context, op); });
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
