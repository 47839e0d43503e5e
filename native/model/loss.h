#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "model/batch.h"
#include "model/count_rows.h"
#include "model/denoiser.h"

namespace ddsc {

/// What is masked: given as xt, or drawn by MaskNoise.
struct Masking {
  std::vector<std::int32_t> noisy;  // [tokens] xt; empty: drawn
  std::vector<double> moveChance;   // [cells]
  std::uint64_t seed = 0, step = 0;
};

/// CellNoise in host memory, with the noise level the network sees.
struct HostNoise {
  std::vector<float> conditioning, weight, sigma, time, meanWeight;  // [cells]; meanWeight may be empty
};

struct LossInput {
  CellBatch batch;  // tokens are x0
  Masking masking;
  HostNoise noise;
  Objective objective = Objective::subs;
  double steps = 0;  // T of d3pm
  WeightSource source = WeightSource::weights;
};

/// What a model of counts learns from: cells with what is right of each query, and what each counts.
struct CountLossInput {
  CountRows rows;
  std::vector<std::int32_t> answers;  // [queries] values, 0 ..
  std::vector<float> weight;          // [queries] factor on -log p
  WeightSource source = WeightSource::weights;
};

using AnyLossInput = std::variant<LossInput, CountLossInput>;

/// Sums over the masked, valid tokens (x0 >= 2), or over the queries.
struct LossSums {
  double loss = 0, meanLoss = 0, crossEntropy = 0;
  std::int64_t maskedTokens = 0, validTokens = 0, correct = 0;  // of counts: queries, cells, none
  std::vector<double> cellLoss;                                 // [cells]
};

/// Names the dropout of one optimizer step.
struct DropoutStream {
  std::uint64_t seed = 0, step = 0;
};

/// Whether a training step keeps the activations of all blocks from forward to backward, or only each block's
/// input, and computes the rest again: the same bits in less memory and more time.
enum class Activations : std::uint8_t { keep, recompute };

/// Memory of a staged batch's inputs.
struct InputSlot {
  explicit InputSlot(Backend& backend) : memory(backend) {}
  bool isTaken() const { return !holder.expired(); }

  Workspace memory;
  std::optional<Mark> used = 0;  // the device is done with what was here before; none: not known when
  std::weak_ptr<void> holder;    // what the staged batch in it holds until it starts or is given up
};

/// A batch whose inputs are in the backend's memory, or on their way. To be started once; it may outlive its
/// model, which has the memory.
struct StagedLoss {
  std::optional<AnyLossInput> input;  // where nothing is gained by staging: all of it, until it starts
  LossSums sums;                      // what is known beforehand: the counts of tokens
  std::vector<std::int32_t> target;   // [masked rows] x0
  std::vector<std::int32_t> rowCell;  // [masked rows]
  WeightSource source = WeightSource::weights;
  DenoiserInput denoiser;
  DiffusionLoss loss;  // what it reads, of ranks or of counts; logits and results come later
  CountLoss countLoss;
  Span<const std::int32_t> askedGenes;  // of counts: see QueryGenes
  Grouping byToken, byGene;             // for training
  InputSlot* slot = nullptr;            // where Model::stage put it; none: in the call's own memory
  std::shared_ptr<void> hold;           // of the slot
};

/// A loss that the device may still be working on.
class PendingLoss {
 public:
  /// Waits, and adds up: once.
  LossSums finish();

 private:
  friend class Model;
  PendingLoss(Backend& backend, StagedLoss&& staged);

  LossSums sums_;
  std::vector<std::int32_t> target_, rowCell_;
  std::vector<float> rowLoss_, rowMeanLoss_, logProbability_;
  std::vector<std::int32_t> best_;
  PendingDownloads downloads_;
};

}  // namespace ddsc
