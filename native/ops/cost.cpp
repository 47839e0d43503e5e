#include "ops/cost.h"

#include <algorithm>

namespace ddsc {

namespace {

double elements(const ConstMatrix& m) { return static_cast<double>(m.rows) * static_cast<double>(m.cols); }

/// Bytes of all that is given; what is empty counts as nothing.
double bytesOf(const ConstMatrix& m) { return m ? elements(m) * static_cast<double>(sizeOf(m.type)) : 0; }
double bytesOf(const Matrix& m) { return bytesOf(ConstMatrix(m)); }
template <class T>
double bytesOf(const Span<T>& span) {
  return static_cast<double>(span.size) * sizeof(T);
}
template <class... Views>
double bytesOf(const Views&... views)
  requires(sizeof...(Views) > 1)
{
  return (bytesOf(views) + ...);
}

/// Two operations for each of the products x [M, K] with w [N, K].
double productFlops(double m, double n, double k) { return 2 * m * n * k; }

double tableBytes(const ConstMatrix& table, double rowsRead) {
  const double rows = std::min(static_cast<double>(table.rows), rowsRead);
  return rows * static_cast<double>(table.cols) * static_cast<double>(sizeOf(table.type));
}

/// Cosine and sine of the positions that occur.
template <class Op>
double rotaryBytes(const Op& op, double width) {
  if (!op.rotary.cosine) return 0;
  const double half = width / static_cast<double>(op.heads) / 2;
  return 2 * half * static_cast<double>(std::max(op.cells.longest, op.keys.longest)) * sizeof(float);
}

/// A base, with a row of the table for each row, and one of the slopes where they are read.
double baseBytes(const CountBase& base, bool slopes = false) {
  const double rows = static_cast<double>(base.gene.size), values = static_cast<double>(base.middle.size);
  const double shares = std::min(static_cast<double>(base.share.size), rows);
  const double places = std::min(static_cast<double>(base.sizes.size), rows);
  return bytesOf(base.middle, base.depth, base.gene, base.cell, base.place, base.tilt) +
         (shares + places * (1 + (slopes ? 2 : 1) * values)) * sizeof(double);
}

/// Operations for each value of each row.
double perValue(const CountBase& base, double each) {
  return each * static_cast<double>(base.gene.size) * static_cast<double>(base.middle.size);
}

}  // namespace

Cost cost(const Embed& op) {
  const double rows = static_cast<double>(op.x.rows);
  return {elements(op.x), bytesOf(op.tokens, op.genes, op.x) + tableBytes(op.rankTable, rows) +
                              tableBytes(op.geneTable, rows)};
}

Cost cost(const EmbedGradient& op) {
  const double groups = static_cast<double>(op.byToken.ids.size + op.byGene.ids.size);
  const double width = static_cast<double>(op.dx.cols);
  return {2 * elements(op.dx), bytesOf(op.dx, op.byToken.ids, op.byToken.starts, op.byToken.rows) +
                                   bytesOf(op.byGene.ids, op.byGene.starts, op.byGene.rows) +
                                   2 * groups * width * sizeof(float)};
}

Cost cost(const Linear& op) {
  return {productFlops(static_cast<double>(op.x.rows), static_cast<double>(op.weight.rows),
                       static_cast<double>(op.x.cols)),
          bytesOf(op.x, op.weight, op.bias, op.preactivation, op.residual, op.y), op.x.type};
}

Cost cost(const LinearInputGradient& op) {
  return {productFlops(static_cast<double>(op.dy.rows), static_cast<double>(op.dy.cols),
                       static_cast<double>(op.weight.cols)),
          bytesOf(op.dy, op.weight, op.preactivation, op.dx), op.dy.type};
}

Cost cost(const LinearWeightGradient& op) {
  return {productFlops(static_cast<double>(op.dy.rows), static_cast<double>(op.dy.cols),
                       static_cast<double>(op.x.cols)),
          bytesOf(op.dy, op.x) + 2 * bytesOf(op.dweight, op.dbias), op.dy.type};
}

Cost cost(const NormModulate& op) {
  // Mean 1, variance 3, normalisation 2, gain 1, modulation 2.
  return {9 * elements(op.x), bytesOf(op.x, op.gain, op.shift, op.scale, op.cell, op.y, op.mean, op.rstd)};
}

Cost cost(const NormModulateGradient& op) {
  // Normalised x 2; with g = dy (1 + scale): g 1, dshift 1, dscale 3, dgain 2; with h = g gain: h 1, its two
  // means 3; dx += rstd (h - mean h - x mean(h x)) 5.
  return {18 * elements(op.dx), bytesOf(op.dy, op.x, op.gain, op.scale, op.mean, op.rstd) +
                                    bytesOf(op.dshift, op.dscale) + 2 * bytesOf(op.dx, op.dgain)};
}

// A cell of m asking and n key rows has 2 products of m x n by the width.
Cost cost(const Attention& op) {
  const double width = static_cast<double>(op.out.cols);
  return {2 * 2 * static_cast<double>(op.pairs) * width,
          bytesOf(op.query, op.keyValue, op.out, op.logSumExp) + rotaryBytes(op, width), op.query.type};
}

// The same with 5 products: the scores again, and the gradients of probabilities, values, queries and keys.
Cost cost(const AttentionGradient& op) {
  const double width = static_cast<double>(op.out.cols);
  return {5 * 2 * static_cast<double>(op.pairs) * width,
          bytesOf(op.query, op.keyValue, op.out, op.dout, op.logSumExp, op.dquery, op.dkeyValue) +
              rotaryBytes(op, width),
          op.query.type};
}

Cost cost(const GateResidual& op) {
  // Gate 1, sum 1, and the dropout factor.
  const double each = op.dropout.probability > 0 ? 3 : 2;
  return {each * elements(op.y), bytesOf(op.x, op.h, op.gate, op.y)};
}

Cost cost(const GateResidualGradient& op) {
  // dh 1, dgate 2, and the dropout factor.
  const double each = op.dropout.probability > 0 ? 4 : 3;
  return {each * elements(op.dy), bytesOf(op.dy, op.h, op.gate, op.dh, op.dgate)};
}

Cost cost(const TimeFeatures& op) {
  // Product, and cosine or sine.
  return {2 * elements(op.features), bytesOf(op.sigma, op.features)};
}

Cost cost(const GatherRows& op) { return {0, 2 * bytesOf(op.out) + bytesOf(op.index)}; }

Cost cost(const ScatterRows& op) { return {0, bytesOf(op.source, op.index, op.out)}; }

Cost cost(const AddRows& op) { return {elements(op.source), 3 * bytesOf(op.source) + bytesOf(op.index)}; }

Cost cost(const DiffusionLoss& op) {
  // Maximum 1, exponential of the distance 2, sum 1; of the gradient 2; mean matching: expectation 2,
  // gradient 3.
  const double each = 4 + (op.dlogits ? 2 : 0) + (op.meanLoss ? 5 : 0);
  const CellNoise& noise = op.noise;
  return {each * elements(op.logits),
          bytesOf(op.logits, op.target, op.cell, op.loss, op.meanLoss, op.dlogits) +
              bytesOf(noise.weight, noise.sigma, noise.time, noise.meanWeight)};
}

Cost cost(const TokenStatistics& op) {
  // Maximum 1, exponential of the distance 2, sum 1, expectation 2.
  return {6 * elements(op.logits), bytesOf(op.logits, op.target, op.targetLogProbability, op.best,
                                           op.bestProbability, op.expectedToken)};
}

Cost cost(const DrawTokens& op) {
  // Maximum 1, temperature 1, exponential of the distance 2, sum 1, inverse of the distribution 1.
  return {6 * elements(op.logits), bytesOf(op.logits, op.rows.cell, op.rows.position, op.tokens) +
                                       bytesOf(op.reveal, op.stay, op.sigma, op.probability)};
}

Cost cost(const CountTable& op) {
  // A far value's logarithm 28 and series 14, what joins them 10; its slope 10. Near values, which have two
  // logarithms, the longer series and the product of eight factors, are few.
  const double each = op.slope ? 62 : 52, genes = static_cast<double>(op.genes.size);
  return {each * genes * static_cast<double>(op.middle.size),
          bytesOf(op.middle, op.fixed, op.genes, op.sizes, op.table, op.slope) +
              genes * (sizeof(double) + (op.logSize || op.rowLogSize ? sizeof(float) : 0))};
}

// Base and sum 4, maximum 1, exponential of the distance 2, sum 1.
constexpr double kCountSoftmax = 8;

Cost cost(const CountLoss& op) {
  // Of the gradient 1, of the expectation 3, of the sizes' 6.
  const double each = kCountSoftmax + (op.dlogits ? 1 : 0) + (op.dtilt ? 3 : 0) + (op.dlogSize ? 6 : 0);
  const double ofSizes = op.dlogSize ? 2 * bytesOf(op.dlogSize) : 0;  // a logSize a row
  return {perValue(op.base, each), baseBytes(op.base, static_cast<bool>(op.dlogSize)) + ofSizes +
                                       bytesOf(op.logits, op.target, op.weight, op.loss, op.logProbability) +
                                       bytesOf(op.dlogits, op.dtilt)};
}

Cost cost(const CountStatistics& op) {
  // Expectation 2, variance 4, all log-probabilities 2.
  const double each = kCountSoftmax + (op.mean || op.variance ? 2 : 0) + (op.variance ? 4 : 0) +
                      (op.logProbabilities ? 2 : 0);
  return {perValue(op.base, each), baseBytes(op.base) +
                                       bytesOf(op.logits, op.target, op.logProbability, op.below) +
                                       bytesOf(op.mean, op.variance, op.expressed, op.logProbabilities)};
}

Cost cost(const DrawCounts& op) {
  // Inverse of the distribution 1; what lies within bins is not counted.
  return {perValue(op.base, kCountSoftmax + 1),
          baseBytes(op.base) + bytesOf(op.logits, op.rows.position, op.low, op.values, op.counts)};
}

Cost cost(const Tilt& op) {
  const double rows = static_cast<double>(op.gene.size), width = static_cast<double>(op.factor.cols);
  return {2 * rows * width, tableBytes(op.factor, rows) + tableBytes(op.state, rows) +
                                bytesOf(op.gene, op.cell, op.tilt) + (op.start ? rows * sizeof(float) : 0)};
}

Cost cost(const Guide& op) { return {3 * elements(op.y), 3 * bytesOf(op.y)}; }

Cost cost(const TiltGradient& op) {
  const double rows = static_cast<double>(op.gene.size), width = static_cast<double>(op.factor.cols);
  const double groups = static_cast<double>(op.byGene.ids.size);
  return {4 * rows * width,
          bytesOf(op.dtilt, op.state, op.gene, op.rows.cell, op.dstate) + tableBytes(op.factor, rows) +
              bytesOf(op.byGene.ids, op.byGene.starts, op.byGene.rows) + 2 * groups * width * sizeof(float)};
}

Cost cost(const ConditionSum& op) {
  // Sum 1 a term, and silu: negation, exponential, sum and quotient.
  const double terms = static_cast<double>(op.terms.size), width = static_cast<double>(op.pre.cols);
  return {terms * width + 4 * elements(op.pre),
          bytesOf(op.terms, op.pre, op.y) + terms * width * sizeof(float)};
}

Cost cost(const SumOfSquares& op) { return {2 * static_cast<double>(op.values.size), bytesOf(op.values)}; }

Cost cost(const AdamW& op) {
  // Scale 1, first moment 3, second moment 4, decay 1, denominator 3, step 3, moving average 3.
  const double each = op.ema ? 18 : 15;
  return {each * static_cast<double>(op.weights.size),
          2 * bytesOf(op.weights, op.firstMoment, op.secondMoment, op.gradient, op.ema) + bytesOf(op.copy)};
}

Cost cost(const FollowWeights& op) {
  return {3 * static_cast<double>(op.weights.size),
          bytesOf(op.weights, op.gradient, op.copy) + 2 * bytesOf(op.ema)};
}

Cost cost(const Convert& op) { return {0, bytesOf(op.in, op.out)}; }

}  // namespace ddsc
