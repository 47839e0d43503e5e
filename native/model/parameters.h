#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "ops/backend.h"

namespace ddsc {

/// How a parameter starts.
enum class Start : std::uint8_t { zero, one, uniform };

/// A named parameter's place in the flat buffers. Vectors have rows = 1.
struct Parameter {
  std::string name;  // as in published checkpoints
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;  // floats
  std::int64_t rows = 1, cols = 1;
  Start start = Start::zero;
  double bound = 0;  // uniform in [-bound, bound)

  std::int64_t size() const { return rows * cols; }
};

/// Hands out places in the flat buffers.
class Placer;

struct BlockParameters {
  Parameter norm1, qkv, attentionOut, norm2, mlpIn, mlpInBias, mlpOut, mlpOutBias, modulation, modulationBias;
  Parameter query, keyValue;  // [D, D], [2 D, D], unnamed: views over qkv
};

/// What turns a number into a conditioning vector: sinusoidal features, then two layers.
struct NumberMap {
  Parameter in, inBias, out, outBias;
};

/// A part of the flat buffers, in floats.
struct BufferPart {
  std::int64_t begin, end;

  std::int64_t size() const { return end - begin; }
  /// What it has in common with another; empty where they do not meet.
  BufferPart within(const BufferPart& other) const {
    const std::int64_t first = std::max(begin, other.begin);
    return {first, std::max(first, std::min(end, other.end))};
  }
};

/// Names, shapes and places of all parameters. The modulation layers of all blocks and of the head stand end
/// to end, so that one linear computes the modulation of the whole network.
struct ParameterLayout {
  explicit ParameterLayout(const DenoiserConfig& config);

  Parameter rankTable, geneTable;
  NumberMap time;
  std::vector<BlockParameters> blocks;
  Parameter finalNorm, head, headBias, headModulation, headModulationBias;
  Parameter allModulation,
      allModulationBias;  // [(6 blocks + 2) D, condDim], unnamed: views over the named ones
  std::int64_t size = 0;  // floats in a flat buffer

  // Of a model of counts.
  std::vector<NumberMap>
      numbers;  // hidden share (the time's), visible total, visible share, whole total; conditions
  std::vector<std::int64_t>
      nullRow;  // by number: row of `labels` for cells that it is not given for; -1: it always is
  std::vector<std::int64_t>
      labelRow;  // by condition that has labels: row of `labels` for none; its labels follow
  std::vector<Parameter> labelTables;  // named, end to end
  Parameter labels;                    // [*, condDim], unnamed: a view over all of them
  Parameter factor, cellState, cellStateBias;
  Parameter summaryIn, summaryInBias, summaryOut, summaryOutBias;  // where there is a summary
  Parameter logSize;                                               // where sizes are learnt
  Parameter sizeFactor;                                            // where the state moves them
  // The floats of the state: factors, genes' sizes, summary; behind them what moves sizes. They learn at
  // rates of their own.
  std::int64_t stateBegin = 0, stateEnd = 0, sizesEnd = 0;

  /// Every named parameter once, in the order of the published state dict.
  std::vector<const Parameter*> all() const;
  /// The whole buffer in parts, in the order in which backward has their gradients: the blocks, the last of
  /// them first, and what is left.
  std::vector<BufferPart> finalParts() const;

 private:
  void placeCounts(const DenoiserConfig& config, Placer& placer);
};

/// Of the processes that train a model together, the one whose share of AdamW's moments is held here.
struct OptimizerShare {
  std::int64_t index = 0, count = 1;
  /// What it is of a buffer of so many floats: equal parts in lines of memory, the last ones shorter or
  /// empty.
  BufferPart of(std::int64_t size) const { return of(size, index); }
  BufferPart of(std::int64_t size, std::int64_t other) const;
};

/// Which weights a forward pass reads.
enum class WeightSource : std::uint8_t { weights, ema };

/// The flat buffers of a model and what runs over all of them at once.
class ParameterStore {
 public:
  /// `trainable`: gradient, moments (those of a share) and EMA are held too. Throws Error ARGUMENT_RANGE for
  /// a share that cannot be. To be cleared before anything else.
  ParameterStore(Backend& backend, const DenoiserConfig& config, DType compute, bool trainable,
                 OptimizerShare share = {});

  const ParameterLayout& layout() const { return layout_; }
  bool trainable() const { return trainable_; }
  const OptimizerShare& share() const { return share_; }
  /// Of all flat buffers and copies.
  std::size_t bytes() const;

  /// Sets everything to 0.
  void clear();
  /// Draws weights: linear and embedding tables uniform in +-1/sqrt(fan in), norms 1, modulation and head 0
  /// (as published). Clears optimizer state; EMA starts at the weights.
  void initialise(std::uint64_t seed);

  struct UpdateOptions {
    double learningRate, beta1, beta2, epsilon, weightDecay, emaDecay, maxNorm;
    std::int64_t step;
    double stateRate = 1;  // factor on the learning rate of the state, in a model of counts
    double sizesRate = 1;  // factor on that, of what moves sizes
  };
  struct UpdateResult {
    double gradientNorm;
    bool applied;
  };
  /// Clips the gradient to maxNorm (0: never), AdamW, EMA; clears the gradient. Leaves everything as it is
  /// when the norm is not finite.
  UpdateResult update(const UpdateOptions& options) { return start(options).finish(); }

  /// An update that the device may still be working on.
  class PendingUpdate {
   public:
    /// Waits: once.
    UpdateResult finish();

   private:
    friend class ParameterStore;
    explicit PendingUpdate(Backend& backend) : downloads_(backend) {}
    std::vector<double> squares_;  // of the gradient
    PendingDownloads downloads_;
  };
  /// Gives the device all of `update`, whose clipping it works out itself, and returns.
  PendingUpdate start(const UpdateOptions& options);
  /// After `start` with a share of the moments, which updates the weights of that share alone, and once those
  /// of the others are here (`wholeWeights`): moving average, copies and gradient of the others.
  void follow(const UpdateOptions& options);

  /// Flat buffers by name: weights, ema, firstMoment, secondMoment, gradient. Of moments that are not of the
  /// share nothing is read (Error MODEL_BUFFER), and what is written is let go. Throws Error MODEL_BUFFER.
  void read(const std::string& buffer, std::int64_t offset, Span<float> to);
  void write(const std::string& buffer, std::int64_t offset, Span<const float> from);

  /// All of the gradient, in the memory of the backend.
  Span<float> wholeGradient() const { return {gradient_.as<float>(), layout_.size}; }
  /// All of the weights, in the memory of the backend: for `follow`.
  Span<float> wholeWeights() const { return {weights_.as<float>(), layout_.size}; }
  Backend& backend() const { return *backend_; }

  /// Names the contents of the weights, the moving average and their compute copies: another number whenever
  /// any of them may have changed. Never 0.
  std::uint64_t version() const { return version_; }

  /// Makes the compute copies of a source current; call before taking `weight` views of it.
  void prepare(WeightSource source);
  /// A matrix in the compute type.
  ConstMatrix weight(const Parameter& parameter, WeightSource source) const;
  /// A matrix or vector in float32.
  ConstMatrix master(const Parameter& parameter, WeightSource source) const;
  Span<const float> vector(const Parameter& parameter, WeightSource source) const;
  Matrix gradient(const Parameter& parameter) const;
  Span<float> gradientVector(const Parameter& parameter) const;

 private:
  /// A buffer, and which part of the flat buffers it is.
  struct Held {
    const Buffer& buffer;
    BufferPart part;
  };
  Held held(const std::string& name) const;
  const float* floats(WeightSource source) const;

  Backend* backend_;
  ParameterLayout layout_;
  DType compute_;
  bool trainable_;
  OptimizerShare share_;
  BufferPart own_;  // whose moments are held
  Buffer weights_, gradient_, firstMoment_, secondMoment_, ema_;
  Buffer copy_, emaCopy_;  // bf16, when that is the compute type
  Buffer squares_;         // [1] double: the gradient's, when last updated
  bool copyStale_ = true, emaCopyStale_ = true;
  std::uint64_t version_ = 1;
};

}  // namespace ddsc
