#pragma once
// The op interface: every operation of the denoiser, its training and its sampling, as a struct of named
// views. A backend runs them (backend.h); the model (model/) is written once over them. "rows" are tokens of
// a ragged batch end to end; T is the compute type (float or bf16): activations between ops. The residual
// stream, statistics, per-cell modulation, logits, losses and all parameter gradients are float32. Gradients
// marked += accumulate; others overwrite.

#include <math.h>

#include <cstdint>

#include "core/views.h"

namespace ddsc {

// ---------------------------------------------------------------------------------------------- embedding

/// x[i] = ranks[token[i]] + genes[gene[i]].
struct Embed {
  Span<const std::int32_t> tokens, genes;  // [rows]
  ConstMatrix rankTable;                   // [V, dim] float
  ConstMatrix geneTable;                   // [G, dim] float
  Matrix x;                                // [rows, dim] float
  bool operator==(const Embed&) const = default;
};

/// Rows grouped by an id, in ascending row order within a group: the fixed order in which gradients are
/// summed.
struct Grouping {
  Span<const std::int32_t> ids;     // [groups], distinct
  Span<const std::int32_t> starts;  // [groups + 1] into rows
  Span<const std::int32_t> rows;    // [all rows], permuted
  bool operator==(const Grouping&) const = default;
};

/// dTable[id] += sum of dx over the id's rows; for the rank table and the gene table.
struct EmbedGradient {
  ConstMatrix dx;  // [rows, dim] float
  Grouping byToken, byGene;
  Matrix dRankTable, dGeneTable;  // [V, dim], [G, dim] float, +=
  bool operator==(const EmbedGradient&) const = default;
};

// ---------------------------------------------------------------------------------------------- linear

enum class Activation : std::uint8_t { none, geluTanh, silu };

// `weightVersion` names the contents of all weights: while it stays the same, a backend may keep what it made
// of a weight for the next use. 0: it may not.

/// y = activation(x wᵀ + bias) + residual, accumulated in float32, rounded once to y's type.
struct Linear {
  ConstMatrix x;           // [M, K] float or bf16
  ConstMatrix weight;      // [N, K] same type as x
  Span<const float> bias;  // [N] or empty
  Activation activation = Activation::none;
  Matrix preactivation;  // [M, N] x wᵀ + bias, kept for backward; empty: not kept
  ConstMatrix residual;  // [M, N] float or empty
  Matrix y;              // [M, N] float or bf16
  std::uint64_t weightVersion = 0;
  bool operator==(const Linear&) const = default;
};

/// dx = (dy w) * activation'(preactivation); preactivation belongs to the op that produced x, so that its
/// activation's backward costs no pass of its own.
struct LinearInputGradient {
  ConstMatrix dy;      // [M, N] float or bf16
  ConstMatrix weight;  // [N, K] same type as dy
  Activation activation = Activation::none;
  ConstMatrix preactivation;  // [M, K] when activation is not none
  Matrix dx;                  // [M, K] float or bf16
  std::uint64_t weightVersion = 0;
  bool operator==(const LinearInputGradient&) const = default;
};

/// dweight += dyᵀ x; dbias += column sums of dy. Summed over rows in a fixed order.
struct LinearWeightGradient {
  ConstMatrix dy;     // [M, N] float or bf16
  ConstMatrix x;      // [M, K] same type as dy
  Matrix dweight;     // [N, K] float, +=
  Span<float> dbias;  // [N] or empty, +=
  bool operator==(const LinearWeightGradient&) const = default;
};

// ---------------------------------------------------------------------------------------------- norm +
// modulate

/// y = (1 + scale[cell]) * normalise(x) * gain + shift[cell], normalise = (x - mean) * rstd over the row, eps
/// 1e-5. One pass; mean and rstd are all that is saved.
struct NormModulate {
  ConstMatrix x;                  // [rows, dim] float
  Span<const float> gain;         // [dim]
  ConstMatrix shift, scale;       // [cells, dim] float
  Span<const std::int32_t> cell;  // [rows]
  Matrix y;                       // [rows, dim] T
  Span<float> mean, rstd;         // [rows]
  bool operator==(const NormModulate&) const = default;
};

/// dx += backward of normalise; dgain +=; dshift, dscale = sums over each cell's rows.
struct NormModulateGradient {
  ConstMatrix dy;          // [rows, dim] T
  ConstMatrix x;           // [rows, dim] float
  Span<const float> gain;  // [dim]
  ConstMatrix scale;       // [cells, dim] float
  Ragged cells;
  Span<const float> mean, rstd;  // [rows]
  Matrix dx;                     // [rows, dim] float, +=
  Span<float> dgain;             // [dim], +=
  Matrix dshift, dscale;         // [cells, dim] float
  bool operator==(const NormModulateGradient&) const = default;
};

// ---------------------------------------------------------------------------------------------- attention

/// cos and sin of position * 10000^(-2i / headDim), i < headDim / 2. Empty: no rotary embedding.
struct RotaryTable {
  Span<const float> cosine, sine;  // [longest, headDim / 2]
  bool operator==(const RotaryTable&) const = default;
};

/// out = softmax(rot(q) rot(k)ᵀ / sqrt(headDim)) v per cell and head: a cell's asking rows see that cell's
/// key rows and no others. Flash style (Dao 2023, FlashAttention-2): no matrix of asking rows by key rows is
/// stored, only the log-sum-exp of each asking row. Rotate-half convention, each side at its own rows'
/// positions. A cell with asking rows has at least one key row; one with key rows may have no asking row.
struct Attention {
  ConstMatrix query;       // [rows, dim] T, each [heads, headDim]
  ConstMatrix keyValue;    // [key rows, 2 * dim] T: k, v, each [heads, headDim]
  Ragged cells;            // the rows that ask
  Ragged keys;             // the rows of keyValue, by the same cells; may be `cells`
  std::int64_t pairs = 0;  // sum over the cells of asking rows times key rows; only its cost depends on it
  std::int64_t heads = 1;
  RotaryTable rotary;
  Matrix out;        // [rows, dim] T
  Matrix logSumExp;  // [rows, heads] float
  bool operator==(const Attention&) const = default;
};

/// The gradients of query and keyValue; 0 for the keys of a cell without asking rows.
struct AttentionGradient {
  ConstMatrix query, keyValue;  // as forward
  ConstMatrix out, dout;        // [rows, dim] T
  ConstMatrix logSumExp;        // [rows, heads] float
  Ragged cells, keys;           // as forward
  std::int64_t pairs = 0;
  std::int64_t heads = 1;
  RotaryTable rotary;
  Matrix dquery;     // [rows, dim] T
  Matrix dkeyValue;  // [key rows, 2 * dim] T; both may be columns of one matrix
  bool operator==(const AttentionGradient&) const = default;
};

// ---------------------------------------------------------------------------------------------- gate +
// dropout

/// Drops an element when its 32-bit word is below threshold32(probability); kept ones are scaled by 1 / (1 -
/// p).
struct Dropout {
  double probability = 0;  // 0: none
  std::uint64_t seed = 0, step = 0;
  std::uint32_t site = 0;  // place in the network, < 2048
  bool operator==(const Dropout&) const = default;
};

/// y = x + gate[cell] * dropout(h). The dropout mask is drawn again in backward, never stored.
struct GateResidual {
  ConstMatrix x;     // [rows, dim] float
  ConstMatrix h;     // [rows, dim] T
  ConstMatrix gate;  // [cells, dim] float
  Ragged cells;
  Dropout dropout;
  Matrix y;  // [rows, dim] float; may be x
  bool operator==(const GateResidual&) const = default;
};

/// dh = gate[cell] * dropout(dy); dgate = sums of dy * dropout(h) over each cell's rows. (dx = dy: nothing to
/// do.)
struct GateResidualGradient {
  ConstMatrix dy;    // [rows, dim] float
  ConstMatrix h;     // [rows, dim] T
  ConstMatrix gate;  // [cells, dim] float
  Ragged cells;
  Dropout dropout;
  Matrix dh;     // [rows, dim] T
  Matrix dgate;  // [cells, dim] float
  bool operator==(const GateResidualGradient&) const = default;
};

// ---------------------------------------------------------------------------------------------- time
// embedding

/// features = [cos(sigma * rate_i), sin(sigma * rate_i)], rate_i = 10000^(-i / half), i < half = cols / 2.
struct TimeFeatures {
  Span<const float> sigma;  // [cells]
  Matrix features;          // [cells, 2 * half] float
  bool operator==(const TimeFeatures&) const = default;
};

// ---------------------------------------------------------------------------------------------- rows

/// out[i] = source[index[i]].
struct GatherRows {
  ConstMatrix source;              // [*, cols]
  Span<const std::int32_t> index;  // [rows], ascending
  Matrix out;                      // [rows, cols] same type
  bool operator==(const GatherRows&) const = default;
};

/// out = 0 but out[index[i]] = source[i].
struct ScatterRows {
  ConstMatrix source;              // [rows, cols]
  Span<const std::int32_t> index;  // [rows], ascending, distinct
  Matrix out;                      // [all rows, cols] same type
  bool operator==(const ScatterRows&) const = default;
};

/// out[index[i]] += source[i].
struct AddRows {
  ConstMatrix source;              // [rows, cols]
  Span<const std::int32_t> index;  // [rows], ascending, distinct
  Matrix out;                      // [*, cols] same type, +=
  bool operator==(const AddRows&) const = default;
};

// ---------------------------------------------------------------------------------------------- diffusion

/// How logits become a distribution over x0 (Sahoo et al. 2024, "Simple and effective masked diffusion
/// language models"; Austin et al. 2021; Lou et al. 2024). All losses vanish where xt is not masked, so ops
/// see masked rows only.
enum class Objective : std::uint8_t { subs, d3pm, sedd };

/// Noise of each cell, as an objective needs it.
struct CellNoise {
  Span<const float>
      weight;  // [cells] factor on the per-token loss: subs sigma' / expm1(sigma), sedd sigma', d3pm 1
  Span<const float> sigma;  // [cells], sedd
  Span<const float> time;   // [cells], d3pm
  Span<const float>
      meanWeight;  // [cells] factor on |E[rank] - rank| (all of it, 1 / (R - 1) included); empty: none
  bool operator==(const CellNoise&) const = default;
};

/// Losses of masked rows and their gradient in one pass over the logits; probabilities are never stored.
///   subs: weight * -log softmax(logits without mask)[x0]
///   d3pm: T * vb(t, T) as d3pm_per_token of the reference (softmax over all tokens), times weight
///   sedd: weight * score entropy of s = logits - log(expm1(sigma)) - log(V - 1), s[mask] = 0
///   mean matching: meanWeight * |E_p[token] - x0|, p = softmax of the log-probabilities over firstValue ..
///   mask - 1
struct DiffusionLoss {
  Objective objective = Objective::subs;
  ConstMatrix logits;               // [rows, V] float; mask token = V - 1
  Span<const std::int32_t> target;  // [rows] x0
  Span<const std::int32_t> cell;    // [rows]
  CellNoise noise;
  double steps = 0;  // T of d3pm
  std::int32_t firstValue = 2;
  float gradientScale = 1;     // dlogits = gradientScale * d(loss + meanLoss) / dlogits
  Span<float> loss, meanLoss;  // [rows], weighted, unscaled; meanLoss empty when there is no mean matching
  Matrix dlogits;              // [rows, V] T, or empty
  bool operator==(const DiffusionLoss&) const = default;
};

/// What the model says about each masked row, from softmax over firstValue .. mask - 1 (temperature 1). A row
/// of which a value's logit is no finite number gets NaN for all but `best`.
struct TokenStatistics {
  ConstMatrix logits;               // [rows, V] float
  Span<const std::int32_t> target;  // [rows] or empty
  std::int32_t firstValue = 2;
  Span<float>
      targetLogProbability;     // [rows] or empty, log p(target) with p over all tokens but the mask (SUBS)
  Span<std::int32_t> best;      // [rows] most probable token (lowest on ties)
  Span<float> bestProbability;  // [rows]
  Span<float> expectedToken;    // [rows] E[token]
  bool operator==(const TokenStatistics&) const = default;
};

/// One exact categorical draw a row: value k with weight reveal[cell] * w_k, the mask token with weight
/// stay[cell] (sedd: max(0, 1 - reveal * sum w)); w = softmax over firstValue .. mask - 1 of logits /
/// temperature for subs, softmax over firstValue .. mask (mask's mass dropped) for d3pm, exp(s) for sedd.
/// Inverse CDF in float64, 53-bit uniforms from Stream(seed, Purpose::draw, step, cellIndex) at the row's
/// position: no Gumbel noise, no float32 tail. Temperature sharpens the choice among the values and leaves
/// the sum of w as it is at temperature 1. A row of which a value's logit, or the mass to reveal, is no
/// finite number draws -1.
struct DrawTokens {
  Objective objective = Objective::subs;
  ConstMatrix logits;  // [rows, V] float
  Ragged rows;
  Span<const float> reveal, stay;  // [cells]
  Span<const float> sigma;         // [cells], sedd
  float temperature = 1;           // > 0; 0: the most probable value (stay still applies)
  std::int32_t firstValue = 2;
  std::uint64_t seed = 0, step = 0;
  Span<std::int32_t> tokens;  // [rows] drawn token, the mask token where the row stays masked, or -1
  Span<float> probability;    // [rows] of the drawn value among the values at temperature 1 (0: stays masked)
  bool operator==(const DrawTokens&) const = default;
};

// ---------------------------------------------------------------------------------------------- counts

/// Largest logarithm of a learnt size over a counted one, both ways.
inline constexpr float kMostLogSize = 5;

/// Of the genes asked about in a pass, or of each query where its cell moves the size, the parts of their
/// negative binomials that no mean changes: with the size r = size[gene] * exp(clamp(logSize[gene], -5, 5))
/// and psi the derivative of lgamma,
///   table[i, k] = lgamma(middle[k] + r) - lgamma(r) - lgamma(middle[k] + 1) + logWidth[k],
///   slope[i, k] = d table[i, k] / d log r = r (psi(middle[k] + r) - psi(r)).
/// In float64, for r from 1e-300 to 1e30; the error is some 1e-15 of lgamma(middle + r) and of fixed.
struct CountTable {
  Span<const double> middle, fixed;   // [values] ascending; logWidth[k] - lgamma(middle[k] + 1)
  Span<const double> size;            // [genes], as counted
  Span<const float> logSize;          // [genes] before the clamp, or empty: sizes as counted
  Span<const std::int32_t> genes;     // [n]
  Span<double> sizes, table, slope;   // [n] r; [n, values]; [n, values] or empty
  Span<const float> rowLogSize = {};  // [n] in place of logSize, or empty
  bool operator==(const CountTable&) const = default;
};

/// Negative binomials of genes at a cell's depth, which count models add to the network's logits. Row i has
/// the mean m = max(1e-8, depth[cell] * share[gene] * exp(clamp(tilt, -6, 6))) and the size r = sizes[place];
/// the log-probability of value k is
///   table[place, k] - r log1p(m / r) - middle[k] log1p(r / m),
/// in float64, with sizes, table and slope as CountTable makes them of the pass's genes.
struct CountBase {
  Span<const double> middle;                   // [values], middle of each value's bin of counts
  Span<const double> share;                    // [genes]
  Span<const double> depth;                    // [cells]
  Span<const double> sizes, table, slope;      // [n]; [n, values]; [n, values] or empty: for dlogSize alone
  Span<const std::int32_t> gene, cell, place;  // [rows], cells ascending; the row's place among the n
  Span<const float> tilt;                      // [rows], before the clamp
  bool operator==(const CountBase&) const = default;
};

/// Steepest tilt of a base, both ways.
inline constexpr float kMostTilt = 6;

/// Gradients of logits of a CountLoss that are nearer to 0 are 0: far too small to move a weight, but floats
/// that are not normal and products that end so cost processors a hundred cycles each, in the layers that
/// read them, too.
inline constexpr double kLeastGradient = 0x1p-100;

/// Losses of queries and their gradient in one pass: with x = logits of the values + base (float64) and p =
/// softmax(x) over the values alone (columns firstValue .. firstValue + values - 1),
///   logProbability = log p(target),  loss = -weight * logProbability,
///   dlogits = gradientScale * weight * (p - 1[target]), 0 in all other columns and below kLeastGradient,
///   dtilt = gradientScale * weight * -r / (r + m) * (middle[target] - E_p[middle]), 0 where the tilt or the
///   mean is clamped,
///   dlogSize = gradientScale * weight * -(D[target] - E_p[D]), D[k] = slope[place, k] - r middle[k] / (r +
///   m) (what is the same for all k cancels), 0 where the logSize is clamped.
/// Neither p nor the base is stored. Log-probabilities keep their relative accuracy near 0: what is not the
/// largest term is summed by itself (log1p).
struct CountLoss {
  ConstMatrix logits;  // [rows, V] float
  CountBase base;
  std::int32_t firstValue = 2;
  Span<const std::int32_t> target;  // [rows] value, 0 .. values - 1
  Span<const float> weight;         // [rows]
  float gradientScale = 1;
  Span<float> loss, logProbability;   // [rows]
  Matrix dlogits;                     // [rows, V] T, or empty
  Span<float> dtilt;                  // [rows], with dlogits
  Span<const float> logSize;          // [genes] as CountTable read it; with dlogSize
  Span<float> dlogSize;               // [rows], with dlogits and base.slope, or empty
  Span<const float> rowLogSize = {};  // [rows] in place of logSize, as CountTable read it, or empty
  bool operator==(const CountLoss&) const = default;
};

/// What a count model says about queries; p as in CountLoss, counts as the middles of their bins.
struct CountStatistics {
  ConstMatrix logits;  // [rows, V] float
  CountBase base;
  std::int32_t firstValue = 2;
  Span<const std::int32_t> target;        // [rows] value, or empty
  Span<float> logProbability, below;      // [rows] log p(target), P(value < target); with target
  Span<float> mean, variance, expressed;  // [rows] of the count; P(count > 0)
  Matrix logProbabilities;                // [rows, values] float, or empty
  bool operator==(const CountStatistics&) const = default;
};

/// One exact draw a query: a value by inverse CDF in float64 (uniform from words 0, 1 of Stream(seed,
/// Purpose::draw, step, cellIndex) at the row's position), then a count of its bin by the base's shape (words
/// 2, 3), by the ratios p(k + 1) / p(k) = (k + r) / (k + 1) * m / (m + r) from the bin's lowest count. A row
/// whose probabilities are not numbers gets -1 for both.
struct DrawCounts {
  ConstMatrix logits;  // [rows, V] float
  CountBase base;
  Ragged rows;
  std::int32_t firstValue = 2;
  Span<const std::int32_t>
      low;  // [values + 1], lowest count of each value; the last entry bounds the last bin
  std::uint64_t seed = 0, step = 0;
  Span<std::int32_t> values, counts;  // [rows]
  bool operator==(const DrawCounts&) const = default;
};

/// tilt[i] = start[gene[i]] + factor[gene[i]] . state[cell[i]].
struct Tilt {
  ConstMatrix factor;                   // [genes, width] float
  ConstMatrix state;                    // [cells, width] float
  Span<const std::int32_t> gene, cell;  // [rows]
  Span<float> tilt;                     // [rows]
  Span<const float> start = {};         // [genes], or empty: 0
  bool operator==(const Tilt&) const = default;
};

/// y = null + gamma (y - null): classifier-free guidance (Ho and Salimans 2022) of what a network says with
/// conditions, y, by what it says without.
struct Guide {
  ConstMatrix null;  // [rows, cols] float
  float gamma = 1;
  Matrix y;  // [rows, cols] float
  bool operator==(const Guide&) const = default;
};

/// dfactor[gene] += dtilt[i] state[cell[i]], by gene; dstate[cell] = sum of dtilt[i] factor[gene[i]] over the
/// cell's rows; both in a fixed order.
struct TiltGradient {
  Span<const float> dtilt;        // [rows]
  ConstMatrix factor, state;      // [genes, width], [cells, width] float
  Span<const std::int32_t> gene;  // [rows]
  Ragged rows;                    // cell of each row, and each cell's rows
  Grouping byGene;                // of the rows
  Matrix dfactor;                 // [genes, width] float, +=
  Matrix dstate;                  // [cells, width] float
  bool operator==(const TiltGradient&) const = default;
};

/// What a cell is told: pre[cell] = sum over its terms of numbers[term] where term >= 0, of labels[-1 - term]
/// where it is negative; y = silu(pre) = pre / (1 + exp(-pre)). Summed in the order of the terms.
struct ConditionSum {
  ConstMatrix numbers;  // [*, width] float: what is made of numbers, a row each
  ConstMatrix labels;   // [*, width] float: embeddings, those that stand for nothing given included
  Span<const std::int32_t> terms;  // [cells, terms of a cell]
  Matrix pre, y;                   // [cells, width] float
  bool operator==(const ConditionSum&) const = default;
};

// ---------------------------------------------------------------------------------------------- optimizer

/// Sum of squares in a fixed order, float64.
struct SumOfSquares {
  Span<const float> values;
  Span<double> result;  // [1]
  bool operator==(const SumOfSquares&) const = default;
};

/// By how much a gradient is scaled down, PyTorch's clip_grad_norm_: maxNorm / (norm + 1e-6), at most 1; 1
/// where maxNorm is 0. `squares` is the sum of the gradient's squares.
DDSC_INLINE double clipping(double squares, double maxNorm) {
  if (!(maxNorm > 0)) return 1.0;
  const double factor = maxNorm / (::sqrt(squares) + 1e-6);
  return factor < 1.0 ? factor : 1.0;
}

/// AdamW (Loshchilov & Hutter 2019) over all parameters in one sweep: g = clipping(squares, maxNorm) *
/// gradient; moments; decoupled decay; weights; ema += (1 - emaDecay) * (weights - ema); bf16 copy; gradient
/// = 0 for the next step. All in float32, with PyTorch's order of operations (bias corrections and clipping
/// in float64). Where `squares` is not finite nothing changes: the host need not have seen it.
struct AdamW {
  Span<float> weights, firstMoment, secondMoment, gradient;  // [parameters]
  Span<float> ema;                                           // [parameters] or empty
  Span<bf16> copy;                                           // [parameters] or empty
  Span<const double> squares;                                // [1] of the gradient
  double learningRate = 3e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, emaDecay = 0.9999;
  double maxNorm = 0;     // of the gradient that is applied; 0: any
  std::int64_t step = 1;  // from 1
  bool operator==(const AdamW&) const = default;
};

/// What AdamW does beside the weights, where another process has updated these: ema += (1 - emaDecay) *
/// (weights - ema); bf16 copy; gradient = 0, with the same bits. Where `squares` is not finite nothing
/// changes.
struct FollowWeights {
  Span<const float> weights;   // [parameters]
  Span<float> gradient, ema;   // [parameters]
  Span<bf16> copy;             // [parameters] or empty
  Span<const double> squares;  // [1] of the whole gradient
  double emaDecay = 0.9999;
  bool operator==(const FollowWeights&) const = default;
};

/// out = in, converted (float to bf16 rounds to nearest even).
struct Convert {
  ConstMatrix in;
  Matrix out;
  bool operator==(const Convert&) const = default;
};

}  // namespace ddsc
