#pragma once
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/errors.h"
#include "model/batch.h"
#include "model/count_prediction.h"
#include "model/denoiser.h"
#include "model/loss.h"
#include "model/parameters.h"

namespace ddsc {

class Model;

/// When a model's memory is first written to, which takes a second for each few gigabytes: `later` by the
/// caller, with ParameterStore::clear before any other call.
enum class Clearing : std::uint8_t { now, later };

/// Logits of the masked rows of a batch, and what samplers and evaluation ask of them.
class Prediction {
 public:
  Prediction(std::shared_ptr<Model> model, std::vector<std::int32_t> rows, HostRagged ragged,
             std::int64_t cells);

  const std::vector<std::int32_t>& rows() const { return rows_; }
  std::int64_t vocabSize() const;
  void logits(Span<float> to) const;

  struct Statistics {
    std::vector<float> targetLogProbability, bestProbability, expectedToken;
    std::vector<std::int32_t> best;
  };
  /// `target`: [rows] or empty.
  Statistics statistics(const std::vector<std::int32_t>& target);

  struct DrawOptions {
    Objective objective = Objective::subs;
    std::vector<float> reveal, stay, sigma;  // [cells]; sigma may be empty but for sedd
    float temperature = 1;
    std::uint64_t seed = 0, step = 0;
    std::optional<std::vector<std::int32_t>> places;  // of the predicted rows, ascending; absent: all
  };
  struct Draw {
    std::vector<std::int32_t> tokens;
    std::vector<float> probability;
  };
  /// One draw for each of the rows at `places`.
  Draw draw(const DrawOptions& options);

 private:
  friend class Model;
  Matrix view() const;

  std::shared_ptr<Model> model_;
  std::vector<std::int32_t> rows_;
  HostRagged ragged_;
  std::int64_t cells_;
  Buffer logits_;
};

/// A denoiser with its parameters on one backend: training steps, evaluation and prediction. Calls must not
/// overlap.
class Model : public std::enable_shared_from_this<Model> {
 public:
  Model(std::unique_ptr<Backend> backend, const DenoiserConfig& config, DType compute, bool trainable,
        OptimizerShare share = {}, Clearing clearing = Clearing::now);

  const DenoiserConfig& config() const { return denoiser_.config(); }
  DType compute() const { return compute_; }
  Backend& backend() { return *backend_; }
  ParameterStore& parameters() { return parameters_; }
  const Denoiser& denoiser() const { return denoiser_; }

  /// Takes the memory of calls of up to so many bytes, and of two staged batches of up to so many each, at
  /// once: see planMemory. A batch that is staged keeps its memory until it starts.
  void reserve(std::size_t activationBytes, std::size_t inputBytes = 0);
  /// Bytes that the activations of the largest call so far took.
  std::size_t activationBytes() const { return workspace_.needed(); }
  /// Bytes that the largest batch staged so far took.
  std::size_t inputBytes() const;

  /// Forward, loss and backward of a micro-batch: gradient += gradientScale * d(sum of losses).
  LossSums accumulate(const AnyLossInput& input, double gradientScale, const DropoutStream& dropout,
                      Activations activations = Activations::keep);
  /// Forward and loss only.
  LossSums evaluate(const AnyLossInput& input);

  // `accumulate` in two, to the same bits: start(stage(input), ...).finish() waits once, at the end, and
  // between start and finish the host may stage the next batch.

  /// Makes a batch ready and begins to copy it, past the work that is under way. Two batches may be staged
  /// and not started. On the CPU, which has one memory and does one thing at a time, all of this is left to
  /// `start`.
  StagedLoss stage(AnyLossInput input);
  /// Gives the device all of `accumulate` and returns.
  PendingLoss start(StagedLoss staged, double gradientScale, const DropoutStream& dropout,
                    Activations activations = Activations::keep);

  /// Logits of `rows` (empty and `allMasked`: every masked token) of xt.
  std::shared_ptr<Prediction> predict(const CellBatch& batch, const std::vector<float>& conditioning,
                                      std::vector<std::int32_t> rows, bool allMasked, WeightSource source);

  /// Logits, tilts and states of a model of counts.
  std::shared_ptr<CountPrediction> predictCounts(const CountRows& rows, WeightSource source);
  /// Share and size of each gene id: what a model of counts adds to its logits. Needed before any loss or
  /// prediction.
  void setBase(const std::vector<double>& share, const std::vector<double>& size) {
    require(config().ofCounts(), "MODEL_CONFIG", "this model is of ranks: it has no base");
    countTables_.set(share, size, config());
  }
  /// Bytes that this takes.
  std::size_t baseBytes() const { return countTables_.bytes(); }

  /// Calls from here on end with Error CANCELLED at the next block once the flag is up, which any thread may
  /// do; null: they cannot be cancelled.
  void cancelBy(const std::atomic<bool>* flag) { cancelled_ = flag; }

  /// Has `accumulate` call `done` where all that makes the gradients of a block final has been given to the
  /// backend (see `Backend::endPiece`): of the last block first, as `ParameterLayout::finalParts` has them.
  /// Empty: no longer.
  void onBlockDone(std::function<void()> done) { blockDone_ = std::move(done); }

 private:
  friend class Prediction;
  friend class CountPrediction;
  /// A call's inputs, copied to the backend's memory; no dropout.
  DenoiserInput prepare(const CellBatch& batch, const std::vector<std::int32_t>& noisy,
                        const std::vector<float>& conditioning, const std::vector<std::int32_t>& rows,
                        const HostRagged& whole, Workspace& workspace);
  StagedLoss stageIn(Workspace& workspace, const AnyLossInput& input, bool train);
  StagedLoss stageRanks(Workspace& workspace, const LossInput& input, bool train);
  StagedLoss stageCounts(Workspace& workspace, const CountLossInput& input, bool train);
  PendingLoss computeLoss(StagedLoss staged, Keep keep, double gradientScale, const DropoutStream& dropout);
  void requireTrainable(const AnyLossInput& input) const;
  /// What a loss leaves on the device, row by row.
  struct LossResults {
    Span<const float> loss, meanLoss, logProbability;
    Span<const std::int32_t> best;
    LossGradients gradients;
  };
  LossResults rankLoss(const StagedLoss& staged, const DenoiserActivations& activations, bool train,
                       double gradientScale);
  LossResults countLoss(const StagedLoss& staged, const DenoiserActivations& activations, bool train,
                        double gradientScale);

  std::unique_ptr<Backend> backend_;
  DType compute_;
  Denoiser denoiser_;
  ParameterStore parameters_;
  CountTables countTables_;
  Workspace workspace_;
  std::array<InputSlot, 2> slots_;  // of the batch that the device works on, and of the one to come
  std::size_t nextSlot_ = 0;
  const std::atomic<bool>* cancelled_ = nullptr;
  std::function<void()> blockDone_;
};

}  // namespace ddsc
