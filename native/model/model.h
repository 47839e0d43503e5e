#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/batch.h"
#include "model/denoiser.h"
#include "model/parameters.h"

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

/// Sums over the masked, valid tokens (x0 >= 2).
struct LossSums {
  double loss = 0, meanLoss = 0, crossEntropy = 0;
  std::int64_t maskedTokens = 0, validTokens = 0, correct = 0;
  std::vector<double> cellLoss;  // [cells]
};

/// Names the dropout of one optimizer step.
struct DropoutStream {
  std::uint64_t seed = 0, step = 0;
};

/// Whether a training step keeps the activations of all blocks from forward to backward, or only each block's
/// input, and computes the rest again: the same bits in less memory and more time.
enum class Activations : std::uint8_t { keep, recompute };

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

  /// Makes calls whose activations take up to so many bytes allocate nothing: see planMemory.
  void reserve(std::size_t activationBytes) { workspace_.reserve(activationBytes); }
  /// Bytes that the activations of the largest call so far took.
  std::size_t activationBytes() const { return workspace_.needed(); }

  /// Forward, loss and backward of a micro-batch: gradient += gradientScale * d(sum of losses).
  LossSums accumulate(const LossInput& input, double gradientScale, const DropoutStream& dropout,
                      Activations activations = Activations::keep);
  /// Forward and loss only.
  LossSums evaluate(const LossInput& input);
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
                        const HostRagged& whole);
  LossSums run(const LossInput& input, Keep keep, double gradientScale, const DropoutStream& dropout);

  std::unique_ptr<Backend> backend_;
  DType compute_;
  Denoiser denoiser_;
  ParameterStore parameters_;
  Workspace workspace_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace ddsc
