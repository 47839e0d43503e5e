#pragma once
#include <atomic>
#include <vector>

#include "model/batch.h"
#include "model/parameters.h"

namespace ddsc {

/// Thrown as Error CANCELLED between two blocks when the flag is up.
void throwIfCancelled(const std::atomic<bool>* flag);

/// What a forward pass leaves for a backward pass: nothing, the residual stream that enters each block (the
/// rest of a block is then computed again), or all activations.
enum class Keep : std::uint8_t { nothing, blockInputs, everything };

/// What a pass through the denoiser reads.
struct DenoiserInput {
  Ragged cells;                       // all tokens
  std::int64_t pairs = 0;             // sum over the cells of tokens squared
  Span<const std::int32_t> tokens;    // [rows] xt
  Span<const std::int32_t> genes;     // [rows]
  Span<const float> conditioning;     // [cells] noise level
  Span<const std::int32_t> selected;  // rows whose logits are wanted, ascending
  Ragged selectedCells;               // the same, as a ragged subset
  double dropout = 0;                 // 0: none
  std::uint64_t dropoutSeed = 0, step = 0;
  const std::atomic<bool>* cancelled = nullptr;
};

/// One DiT block's activations. `tail*` hold the rows that go on: all of them, or in the last block those
/// selected.
struct BlockActivations {
  Matrix x;                       // [rows, D] float: the residual stream that enters
  Matrix normed1, qkv, attended;  // [rows, D], [rows, 3D], [rows, D]
  Matrix logSumExp;               // [rows, heads]
  Span<float> mean1, rstd1;
  Matrix tailX, tailAttended;         // x and attended at the tail's rows
  Matrix projected, middle, normed2;  // attention output layer; residual stream after it; second norm
  Span<float> mean2, rstd2;
  Matrix preactivation, activated, expanded;  // [tail, 4D], [tail, 4D], [tail, D]
};

/// Everything a backward pass needs of the forward pass.
struct DenoiserActivations {
  RotaryTable rotary;
  Matrix features, timeHiddenPre, timeHidden, conditionPre, condition;  // [cells, ...] float
  Matrix modulation;                                                    // [cells, (6 blocks + 2) D] float
  std::vector<BlockActivations> blocks;
  std::size_t recomputed = 0;  // blocks, from the first on, of which only x was kept
  Matrix last, normed;         // residual stream that leaves the last block, [selected, D]; its norm
  Span<float> mean, rstd;
  Matrix logits;  // [selected, V] float
};

/// The network: rank + gene embedding, DiT blocks with adaLN modulation and rotary attention, head (Peebles &
/// Xie 2023, as in the published DDSC). Written once over the ops; owns no memory but the rotary table.
class Denoiser {
 public:
  Denoiser(Backend& backend, const DenoiserConfig& config, DType compute);

  const DenoiserConfig& config() const { return config_; }
  /// Of the rotary table.
  std::size_t tableBytes() const { return cosine_.bytes() + sine_.bytes(); }

  /// Logits of the selected rows. Blocks share the buffers of what is not kept.
  DenoiserActivations forward(const ParameterStore& parameters, WeightSource source,
                              const DenoiserInput& input, Keep keep, Workspace& workspace);

  /// Adds the gradient of every parameter, given the logits' gradient [selected, V] in the compute type.
  /// Blocks of which only the input was kept are computed again, to the same bits.
  void backward(const ParameterStore& parameters, const DenoiserInput& input, const Grouping& byToken,
                const Grouping& byGene, const DenoiserActivations& activations, Matrix dlogits,
                Workspace& workspace);

 private:
  RotaryTable rotary(std::int64_t longest);
  BlockActivations plan(const DenoiserInput& input, bool last, Workspace& workspace) const;
  void condition(const ParameterStore& parameters, WeightSource source, const DenoiserInput& input,
                 DenoiserActivations& a, Workspace& workspace);
  /// All of a block but the gate that ends it, from its x on.
  void block(std::size_t index, const ParameterStore& parameters, WeightSource source,
             const DenoiserInput& input, const DenoiserActivations& a);

  Backend* backend_;
  DenoiserConfig config_;
  DType compute_;
  Buffer cosine_, sine_;
  std::int64_t rotaryRows_ = 0;
};

/// Columns of the modulation matrix: 6 D a block (shift, scale, gate; for attention, then for the MLP), then
/// 2 D for the head.
struct Modulation {
  Matrix shift1, scale1, gate1, shift2, scale2, gate2;
};
Modulation modulationOf(const Matrix& all, std::size_t block, std::int64_t hidden);
/// The head's: shift1 and scale1 only.
Modulation headModulationOf(const Matrix& all, std::int64_t hidden);

/// Dropout's place in the network: two a block.
inline Dropout dropoutOf(const DenoiserInput& input, std::size_t block, std::uint32_t which) {
  return {input.dropout, input.dropoutSeed, input.step, static_cast<std::uint32_t>(2 * block) + which};
}

}  // namespace ddsc
