#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/backend.h"
#include "ops/gpu_scratch.h"

namespace ddsc {

/// A backend that allocates nothing and runs nothing: what is planned on it shows what memory it would take.
/// Addresses are numbers; what is downloaded is left as it is.
class CountingBackend final : public EveryOp<CountingBackend> {
 public:
  /// `kind` and `threads`: of the backend that it stands for.
  explicit CountingBackend(DeviceKind kind, int threads) : kind_(kind), threads_(threads) {}

  /// An estimate of what the ops so far would make their device hold at most. The CPU: an operand packed in
  /// float32, sums over chunks of rows, for each thread its part of a product or the heads of the longest
  /// cell; and packed copies of all weights that were used more than once in one version. A GPU: the shares
  /// of a weight gradient, packed heads, sums over chunks of rows.
  std::size_t scratchBytes() const override;

  DeviceKind kind() const override { return kind_; }
  std::string describe() const override { return "none: memory is only counted"; }
  int threads() const override { return threads_; }
  Limits measureLimits() override { return {}; }
  void* allocate(std::size_t bytes) override;
  void release(void*) noexcept override {}
  void zero(void*, std::size_t) override {}
  void upload(void*, const void*, std::size_t) override {}
  void download(void*, const void*, std::size_t) override {}

  template <class Op>
  void handle(const Op& op) {
    if (kind_ == DeviceKind::cpu)
      note(op);
    else
      noteOnGpu(op);
  }

 private:
  template <class Op>
  void note(const Op&) {}
  void note(const Linear& op) { noteWeight(op.weight, true, op.weightVersion); }
  void note(const LinearInputGradient& op) { noteWeight(op.weight, false, op.weightVersion); }
  void note(const LinearWeightGradient& op);
  // Keys, values and a block of queries; queries and dout twice, their gradient and a block of keys.
  void note(const Attention& op) { noteHeads(op.keys, op.out.cols / op.heads, 3); }
  void note(const AttentionGradient& op) { noteHeads(op.cells, op.out.cols / op.heads, 6); }
  void note(const NormModulateGradient& op) { noteSums(op.dx, 3); }
  void note(const GateResidualGradient& op) { noteSums(op.dy, 1); }
  void note(const TiltGradient& op) { noteCellSums(op.rows, op.dstate.cols); }

  template <class Op>
  void noteOnGpu(const Op&) {}
  void noteOnGpu(const LinearWeightGradient& op);
  void noteOnGpu(const Attention& op) {
    noteShared(gpu::attentionScratchFloats(op.out, op.keyValue.rows, op.heads));
  }
  void noteOnGpu(const AttentionGradient& op) {
    noteShared(gpu::attentionGradientScratchFloats(op.out, op.keyValue.rows, op.heads));
  }
  void noteOnGpu(const NormModulateGradient& op) { noteGpuSums(op.cells, op.dx.cols, 2); }
  void noteOnGpu(const GateResidualGradient& op) { noteGpuSums(op.cells, op.dy.cols, 1); }
  void noteOnGpu(const TiltGradient& op) { noteGpuSums(op.rows, op.dstate.cols, 1); }
  /// `arrays` of a row each, for each chunk of a cell's rows.
  void noteGpuSums(const Ragged& cells, std::int64_t cols, std::int64_t arrays);

  /// A weight as forward (`rows` true) or backward reads it.
  void noteWeight(const ConstMatrix& weight, bool rows, std::uint64_t version);
  /// `arrays` of [longest of these rows, headDim] for each thread.
  void noteHeads(const Ragged& rows, std::int64_t headDim, std::int64_t arrays);
  /// `arrays` of a row each, for each chunk of a cell's rows.
  void noteSums(const ConstMatrix& rows, std::int64_t arrays);
  /// The same of rows that no matrix holds, for chunks within cells.
  void noteCellSums(const Ragged& cells, std::int64_t cols);
  void noteShared(std::int64_t floats) { shared_ = std::max(shared_, floats); }
  void noteWorker(std::int64_t floats) { worker_ = std::max(worker_, floats); }

  struct UsedWeight {
    const void* data;
    bool rows;
    bool kept;
  };

  DeviceKind kind_;
  int threads_;
  std::uintptr_t next_ = std::uintptr_t{1} << 20;  // address
  std::int64_t shared_ = 0, worker_ = 0;           // floats, of the largest op
  std::vector<UsedWeight> weights_;                // in this version
  std::uint64_t version_ = 0;
  std::int64_t kept_ = 0, mostKept_ = 0;  // floats
};

}  // namespace ddsc
