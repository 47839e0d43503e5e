#pragma once
// What a CPU kernel gets beside its op: the threads, scratch memory and weights packed before.

#include <cstddef>
#include <memory>
#include <vector>

#include "cpu/packed_weights.h"
#include "cpu/thread_pool.h"
#include "ops/ops.h"

namespace ddsc::cpu {

/// 64-byte aligned scratch that grows and is kept: no allocation in the hot path once warm. Slot `worker`
/// belongs to a worker while its task runs; `shared` to the op that is running. Contents do not survive the
/// op.
class Scratch {
 public:
  explicit Scratch(int workers);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// At least `bytes`, private to the worker until its next call here.
  void* worker(int worker, std::size_t bytes);
  /// At least `bytes`, for the calling op until its next call here; call before going parallel.
  void* shared(std::size_t bytes);
  /// Held by all slots; not while an op is running.
  std::size_t bytes() const;

 private:
  struct Slot;
  std::vector<Slot> slots_;
};

struct Context {
  ThreadPool& pool;
  Scratch& scratch;
  PackedWeights& weights;
};

/// Every op of one instruction set. Filled in cpu/ops/table.cpp, compiled once for each.
struct OpTable {
  void (*embed)(Context&, const Embed&);
  void (*embedGradient)(Context&, const EmbedGradient&);
  void (*linear)(Context&, const Linear&);
  void (*linearInputGradient)(Context&, const LinearInputGradient&);
  void (*linearWeightGradient)(Context&, const LinearWeightGradient&);
  void (*normModulate)(Context&, const NormModulate&);
  void (*normModulateGradient)(Context&, const NormModulateGradient&);
  void (*attention)(Context&, const Attention&);
  void (*attentionGradient)(Context&, const AttentionGradient&);
  void (*gateResidual)(Context&, const GateResidual&);
  void (*gateResidualGradient)(Context&, const GateResidualGradient&);
  void (*timeFeatures)(Context&, const TimeFeatures&);
  void (*gatherRows)(Context&, const GatherRows&);
  void (*scatterRows)(Context&, const ScatterRows&);
  void (*diffusionLoss)(Context&, const DiffusionLoss&);
  void (*tokenStatistics)(Context&, const TokenStatistics&);
  void (*drawTokens)(Context&, const DrawTokens&);
  void (*sumOfSquares)(Context&, const SumOfSquares&);
  void (*adamW)(Context&, const AdamW&);
  void (*convert)(Context&, const Convert&);
};

}  // namespace ddsc::cpu
