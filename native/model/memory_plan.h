#pragma once
#include <cstddef>
#include <cstdint>

#include "model/model.h"

namespace ddsc {

/// A batch, as far as memory goes.
struct BatchShape {
  std::int64_t cells = 1;
  std::int64_t tokens = 0;   // of all cells
  std::int64_t longest = 0;  // tokens of the longest cell
  std::int64_t masked = 0;   // tokens whose ranks are asked for
};

/// What is done with batches of a shape.
struct Workload {
  enum class Kind : std::uint8_t { training, prediction };

  Kind kind = Kind::training;
  BatchShape batch;
  Activations activations = Activations::keep;  // training
  bool severalBatches = false;                  // training: more than one batch a step
  bool validation = false;                      // training: the moving average is evaluated in between
  OptimizerShare share = {};                    // training: whose moments are held
};

/// Bytes that a model and its calls hold at most.
struct MemoryPlan {
  std::size_t parameters = 0;   // weights and copies; in training gradient, moments and moving average too
  std::size_t activations = 0;  // of a call: what it reads, computes and gives back
  std::size_t scratch = 0;      // held by the ops; an estimate, the rest is exact
  // The parts of `activations` that Model::reserve takes: one call's, and each of two staged batches'.
  std::size_t workspace = 0, inputs = 0;
};

/// Cells of a shape: one of them the longest, the others equally long; as many genes and values as there can
/// be. Throws Error ARGUMENT_RANGE for a shape that no batch has.
LossInput batchOf(const BatchShape& shape, const DenoiserConfig& config);
/// The same of counts: `masked` are queries, and every cell has its cls row and is told all that it can be.
CountLossInput countBatchOf(const BatchShape& shape, const DenoiserConfig& config);

/// Walks through the workload with the very code that runs it, on a backend that only counts. `threads` and
/// `kind`: of the backend it will run on. Throws Error MODEL_CONFIG, ARGUMENT_RANGE.
MemoryPlan planMemory(const DenoiserConfig& config, DType compute, const Workload& workload, int threads,
                      DeviceKind kind = DeviceKind::cpu);

}  // namespace ddsc
