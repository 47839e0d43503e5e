// Rows picked out (the masked ones, for the head and the loss) and put back among zeros, or added to others.

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 64;

template <class View>
DDSC_INLINE auto* rowBytes(const View& view, std::int64_t row) {
  return view.template as<char>() + row * view.stride * sizeOf(view.type);
}

DDSC_INLINE std::size_t widthBytes(const Matrix& m) {
  return static_cast<std::size_t>(m.cols * sizeOf(m.type));
}

/// The first i with index[i] >= row, index ascending.
std::int64_t lowerBound(Span<const std::int32_t> index, std::int64_t row) {
  std::int64_t low = 0, high = index.size;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (index[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

void run(Context& context, const GatherRows& op) {
  parallelChunks(context, op.out.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    for (std::int64_t row = first; row < last; ++row)
      __builtin_memcpy(rowBytes(op.out, row), rowBytes(op.source, op.index[row]), widthBytes(op.out));
  });
}

void run(Context& context, const ScatterRows& op) {
  parallelChunks(context, op.out.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    std::int64_t next = lowerBound(op.index, first);
    for (std::int64_t row = first; row < last; ++row) {
      if (next < op.index.size && op.index[next] == row) {
        __builtin_memcpy(rowBytes(op.out, row), rowBytes(op.source, next), widthBytes(op.out));
        ++next;
      } else {
        __builtin_memset(rowBytes(op.out, row), 0, widthBytes(op.out));
      }
    }
  });
}

void run(Context& context, const AddRows& op) {
  withElementType(op.out.type, [&](auto element) {
    using T = decltype(element);
    parallelChunks(context, op.source.rows, kRowsPerTask, [&](std::int64_t first, std::int64_t last, int) {
      for (std::int64_t row = first; row < last; ++row) {
        const T* source = op.source.row<T>(row);
        T* out = op.out.row<T>(op.index[row]);
        eachVector(op.source.cols, [&](std::int64_t i, auto lanes) {
          store(out + i, load(out + i, lanes) + load(source + i, lanes), lanes);
        });
      }
    });
  });
}

}  // namespace ddsc::cpu::DDSC_ISA
