#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/batch.h"
#include "model/denoiser.h"
#include "model/loss.h"
#include "model/parameters.h"

namespace ddsc {

class Model;

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
/// overlap, but for `cancel`.
class Model : public std::enable_shared_from_this<Model> {
 public:
  Model(std::unique_ptr<Backend> backend, const DenoiserConfig& config, DType compute, bool trainable);

  const DenoiserConfig& config() const { return denoiser_.config(); }
  DType compute() const { return compute_; }
  Backend& backend() { return *backend_; }
  ParameterStore& parameters() { return parameters_; }
  const Denoiser& denoiser() const { return denoiser_; }

  /// Takes the memory of calls of up to so many bytes, and of two staged batches of up to so many each, at
  /// once: see planMemory. What `accumulateAhead` had made ready is given up.
  void reserve(std::size_t activationBytes, std::size_t inputBytes = 0);
  /// Bytes that the activations of the largest call so far took.
  std::size_t activationBytes() const { return workspace_.needed(); }
  /// Bytes that the largest batch staged so far took.
  std::size_t inputBytes() const;

  /// Forward, loss and backward of a micro-batch: gradient += gradientScale * d(sum of losses).
  LossSums accumulate(const LossInput& input, double gradientScale, const DropoutStream& dropout,
                      Activations activations = Activations::keep);
  /// Forward and loss only.
  LossSums evaluate(const LossInput& input);

  /// Whether the device works by itself, so that a batch can be made ready while it does.
  bool stagesAhead() const { return backend_->kind() == DeviceKind::gpu; }
  /// `accumulate` of batches that follow each other: the same bits. `next`, if any, is staged while the
  /// device works on this one, and kept for the call after this, which asks for it by a null `batch`; any
  /// other batch gives it up. What is wrong with `next` is left to its own turn: then `hasNext` says no.
  LossSums accumulateAhead(const LossInput* batch, const LossInput* next, double gradientScale,
                           const DropoutStream& dropout, Activations activations = Activations::keep);
  /// Whether the next batch is ready. Never, where nothing is staged ahead.
  bool hasNext() const { return next_.has_value(); }

  // `accumulate` in two: start(stage(input), ...).finish() waits once, at the end, and between start and
  // finish the host may stage the next batch.

  /// Makes a batch ready and begins to copy it, past the work that is under way. Two batches may be staged
  /// and not started, that of `accumulateAhead` included.
  StagedLoss stage(const LossInput& input);
  /// Gives the device all of `accumulate` and returns.
  PendingLoss start(StagedLoss staged, double gradientScale, const DropoutStream& dropout,
                    Activations activations = Activations::keep);

  /// Logits of `rows` (empty and `allMasked`: every masked token) of xt.
  std::shared_ptr<Prediction> predict(const CellBatch& batch, const std::vector<float>& conditioning,
                                      std::vector<std::int32_t> rows, bool allMasked, WeightSource source);

  /// Makes the call under way (if any) end with Error CANCELLED at the next block; callable from any thread.
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  /// Clears a cancellation; at the start of each call.
  void begin() { cancelled_.store(false, std::memory_order_relaxed); }

 private:
  friend class Prediction;
  /// A call's inputs, copied to the backend's memory; no dropout.
  DenoiserInput prepare(const CellBatch& batch, const std::vector<std::int32_t>& noisy,
                        const std::vector<float>& conditioning, const std::vector<std::int32_t>& rows,
                        const HostRagged& whole, Workspace& workspace);
  StagedLoss stageIn(Workspace& workspace, const LossInput& input, bool train);
  PendingLoss computeLoss(StagedLoss staged, Keep keep, double gradientScale, const DropoutStream& dropout);
  void requireTrainable(const LossInput& input) const;

  std::unique_ptr<Backend> backend_;
  DType compute_;
  Denoiser denoiser_;
  ParameterStore parameters_;
  Workspace workspace_;
  std::array<std::shared_ptr<InputSlot>, 2> slots_;  // the next one first; shared with what is staged
  std::optional<StagedLoss> next_;                   // of accumulateAhead
  std::atomic<bool> cancelled_{false};
};

}  // namespace ddsc
