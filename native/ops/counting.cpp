#include "ops/counting.h"

namespace ddsc {

namespace {

/// Rows that are summed up together before sums of chunks are added.
constexpr std::int64_t kChunkRows = 64;

/// Rows of keys or queries that are worked on together.
constexpr std::int64_t kHeadRows = 256;

/// Floats of a thread's own part of a matrix product: a block of both operands and of the sums.
constexpr std::int64_t kProductPart = 512 * 1024;

/// An activation is packed for all threads at once up to so many elements.
constexpr std::int64_t kPackedActivation = std::int64_t{4} << 20;

/// Panels that an operand is packed in are this wide.
constexpr std::int64_t kPanel = 32;

std::int64_t packedFloats(std::int64_t rows, std::int64_t cols) {
  return (rows + kPanel - 1) / kPanel * kPanel * (cols + cols % 2);
}

std::size_t bytesOf(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }

}  // namespace

std::size_t CountingBackend::scratchBytes() const {
  if (kind_ == DeviceKind::gpu) return bytesOf(shared_ + shared_ / 4);  // what grows takes a quarter more
  return bytesOf(shared_) + static_cast<std::size_t>(threads_) * bytesOf(worker_) + bytesOf(mostKept_);
}

void* CountingBackend::allocate(std::size_t bytes) {
  void* memory = reinterpret_cast<void*>(next_);
  constexpr std::uintptr_t line = 64;
  next_ += (bytes / line + 1) * line;
  return memory;
}

void CountingBackend::note(const LinearWeightGradient& op) {
  noteShared(std::min(packedFloats(op.x.cols, op.x.rows), kPackedActivation));
  noteWorker(kProductPart);
}

void CountingBackend::noteWeight(const ConstMatrix& weight, bool rows, std::uint64_t version) {
  const std::int64_t size =
      rows ? packedFloats(weight.rows, weight.cols) : packedFloats(weight.cols, weight.rows);
  noteShared(size);
  noteWorker(kProductPart);
  if (version == 0) return;
  if (version != version_) {
    version_ = version;
    weights_.clear();
    kept_ = 0;
  }
  const auto used = std::find_if(weights_.begin(), weights_.end(), [&](const UsedWeight& one) {
    return one.data == weight.data && one.rows == rows;
  });
  if (used == weights_.end()) {
    weights_.push_back({weight.data, rows, false});
  } else if (!used->kept) {
    used->kept = true;
    kept_ += size;
    mostKept_ = std::max(mostKept_, kept_);
  }
}

void CountingBackend::noteHeads(const Ragged& rows, std::int64_t headDim, std::int64_t arrays) {
  noteWorker((rows.longest + kHeadRows) * headDim * arrays);
}

void CountingBackend::noteSums(const ConstMatrix& rows, std::int64_t arrays) {
  noteShared((rows.rows / kChunkRows + 1) * rows.cols * arrays);
}

void CountingBackend::noteCellSums(const Ragged& cells, std::int64_t cols) {
  noteShared((cells.rows() / kChunkRows + cells.cells()) * cols);
}

void CountingBackend::noteOnGpu(const LinearWeightGradient& op) {
  const std::int64_t rows = op.dy.cols, cols = op.x.cols;
  if (rows == 0 || cols == 0 || op.dy.rows == 0) return;
  noteShared(gpu::weightGradientSplits(op.dy.type, rows, cols, op.dy.rows).scratchFloats);
}

void CountingBackend::noteGpuSums(const Ragged& cells, std::int64_t cols, std::int64_t arrays) {
  noteShared(gpu::cellSumFloats(cells, arrays, cols));
}

}  // namespace ddsc
