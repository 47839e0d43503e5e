#pragma once
#include <atomic>
#include <functional>
#include <vector>

#include "model/batch.h"
#include "model/parameters.h"

namespace ddsc {

/// Thrown as Error CANCELLED between two blocks when the flag is up.
void throwIfCancelled(const std::atomic<bool>* flag);

/// What a forward pass leaves for a backward pass: nothing, the residual stream that enters each block (the
/// rest of a block is then computed again), or all activations.
enum class Keep : std::uint8_t { nothing, blockInputs, everything };

/// What a pass through a model of counts reads besides. Rows of a cell: cls, evidence (its key rows),
/// queries. What is selected of them is cls and the queries.
struct CountInput {
  Ragged keys;                                  // key rows, numbered by themselves
  Span<const std::int32_t> keyRows;             // [key rows] among all rows
  std::int64_t pairs = 0;                       // over the cells, of rows and key rows
  std::int64_t selectedPairs = 0;               // the same of selected rows
  Span<const std::int32_t> cls, queries;        // places among the selected rows, [cells] and [queries]
  Ragged clsCells, queryCells;                  // these rows, as ragged subsets
  Span<const std::int32_t> queryGenes;          // [queries]
  Span<const float> numbers;                    // map after map, of the cells it is given for
  std::vector<Span<const std::int32_t>> given;  // by map: those cells, ascending
  Span<const std::int32_t> terms;               // see ConditionSum
  ConstMatrix summary;                          // [cells, summary] float, where there is one
  // For backward.
  Grouping byLabel;      // cells by row of the labels
  Grouping byQueryGene;  // queries by gene
};

/// What a pass through the denoiser reads.
struct DenoiserInput {
  Ragged cells;                       // all tokens
  std::int64_t pairs = 0;             // of a model of ranks: over the cells, of tokens and tokens
  Span<const std::int32_t> tokens;    // [rows] xt
  Span<const std::int32_t> genes;     // [rows]
  Span<const float> conditioning;     // [cells] noise level, of a model of ranks
  Span<const std::int32_t> selected;  // rows whose logits are wanted, ascending
  Ragged selectedCells;               // the same, as a ragged subset
  double dropout = 0;                 // 0: none
  std::uint64_t dropoutSeed = 0, step = 0;
  const std::atomic<bool>* cancelled = nullptr;
  const std::function<void()>* blockDone = nullptr;  // called where a block's gradients are final: see Model
  CountInput counts;                                 // of a model of counts
};

/// One DiT block's activations. `tail*` hold the rows that go on: all of them, or in the last block those
/// selected.
struct BlockActivations {
  Matrix x;                // [rows, D] float: the residual stream that enters
  Matrix normed1;          // [rows, D]
  Matrix asking, keying;   // normed1 of the rows that ask and of the key rows, in a model of counts
  Matrix query, keyValue;  // [asking rows, D], [key rows, 2D]
  Matrix qkv;              // [rows, 3D]: both, in a model of ranks, where all rows ask and are keys
  Matrix attended;         // [asking rows, D]
  Matrix logSumExp;        // [asking rows, heads]
  Span<float> mean1, rstd1;
  Matrix tailX, tailAttended;         // x and attended at the tail's rows
  Matrix projected, middle, normed2;  // attention output layer; residual stream after it; second norm
  Span<float> mean2, rstd2;
  Matrix preactivation, activated, expanded;  // [tail, 4D], [tail, 4D], [tail, D]
};

/// What a cell's state takes: z = cell_state(layer norm of the cls row) + dropout(u + mlp(summary)), u the
/// summary's first numbers; each query's tilt factor[gene] . z; and, where the state moves sizes, its log
/// size over the counted one, log_size[gene] + size_factor[gene] . z.
struct StateActivations {
  Matrix cls, normed, z;                  // [cells, D], [cells, D], [cells, state], float
  Matrix ofCls;                           // [cells, state]: z without the summary's part
  Matrix preactivation, hidden, summary;  // [cells, D], [cells, D], [cells, state] of the summary's part
  Span<float> mean, rstd;
  Span<float> tilt, logSize;  // [queries]
};

/// Everything a backward pass needs of the forward pass.
struct DenoiserActivations {
  RotaryTable rotary;
  Matrix features, timeHiddenPre, timeHidden;  // [cells, or numbers given, ...] float
  Matrix timeOut;                              // [numbers given, condDim] float, of a model of counts
  Matrix conditionPre, condition;              // [cells, condDim] float
  Matrix modulation;                           // [cells, (6 blocks + 2) D] float
  std::vector<BlockActivations> blocks;
  std::size_t recomputed = 0;  // blocks, from the first on, of which only x was kept
  Matrix last;                 // residual stream that leaves the last block, [selected, D]
  Matrix headRows, normed;  // rows of it that the head reads (in a model of counts the queries); their norm
  Span<float> mean, rstd;
  Matrix logits;           // [selected, or queries, V] float
  StateActivations state;  // of a model of counts
};

/// The gradients that a loss gives: of the logits in the compute type and, in a model of counts, of the
/// tilts and, where the state moves them, of the logarithms of sizes.
struct LossGradients {
  Matrix dlogits;
  Span<const float> dtilt = {}, dlogSize = {};
};

/// The network: rank + gene embedding, DiT blocks with adaLN modulation and rotary attention, head (Peebles &
/// Xie 2023, as in the published DDSC). Written once over the ops; owns no memory but the rotary table.
class Denoiser {
 public:
  Denoiser(Backend& backend, const DenoiserConfig& config, DType compute);

  const DenoiserConfig& config() const { return config_; }
  /// Of the rotary table and other constants.
  std::size_t tableBytes() const { return cosine_.bytes() + sine_.bytes() + constants_.bytes(); }

  /// Logits of the selected rows (of a model of counts: of the queries, and their tilts). Blocks share the
  /// buffers of what is not kept.
  DenoiserActivations forward(const ParameterStore& parameters, WeightSource source,
                              const DenoiserInput& input, Keep keep, Workspace& workspace);

  /// Adds the gradient of every parameter, given the loss's.
  /// Blocks of which only the input was kept are computed again, to the same bits.
  void backward(const ParameterStore& parameters, const DenoiserInput& input, const Grouping& byToken,
                const Grouping& byGene, const DenoiserActivations& activations, const LossGradients& loss,
                Workspace& workspace);

 private:
  RotaryTable rotary(std::int64_t longest);
  BlockActivations plan(const DenoiserInput& input, bool last, Workspace& workspace) const;
  void condition(const ParameterStore& parameters, WeightSource source, const DenoiserInput& input,
                 DenoiserActivations& a, Workspace& workspace);
  void conditionBackward(const ParameterStore& parameters, const DenoiserInput& input,
                         const DenoiserActivations& a, const Matrix& dmodulation, Workspace& workspace);
  /// Queries, keys and values of a block, in a model of counts of those rows alone that ask or are asked.
  void project(std::size_t index, const ParameterStore& parameters, WeightSource source,
               const DenoiserInput& input, const DenoiserActivations& a);
  /// The other way: gradients of the block's first norm, from those of queries, keys and values.
  void projectBackward(std::size_t index, const ParameterStore& parameters, const DenoiserInput& input,
                       const BlockActivations& s, const AttentionGradient& attention, const Matrix& dnormed,
                       Workspace& workspace);
  void state(const ParameterStore& parameters, WeightSource source, const DenoiserInput& input,
             DenoiserActivations& a, Workspace& workspace);
  /// Adds to the gradient [selected, D] of what leaves the last block.
  void stateBackward(const ParameterStore& parameters, const DenoiserInput& input,
                     const DenoiserActivations& a, const LossGradients& loss, const Matrix& dlast,
                     Workspace& workspace);
  bool isLast(std::size_t block) const { return block + 1 == static_cast<std::size_t>(config_.blocks); }
  /// The rows of a block that ask: all, but in the last block of a model of counts those selected.
  const Ragged& asking(const DenoiserInput& input, std::size_t block) const {
    return config_.ofCounts() && isLast(block) ? input.selectedCells : input.cells;
  }

  /// All of a block but the gate that ends it, from its x on.
  void block(std::size_t index, const ParameterStore& parameters, WeightSource source,
             const DenoiserInput& input, const DenoiserActivations& a);

  Backend* backend_;
  DenoiserConfig config_;
  DType compute_;
  Buffer cosine_, sine_;
  Buffer constants_;  // of a model of counts: ones, then zeros, [D] each
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
