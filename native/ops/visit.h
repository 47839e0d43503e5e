#pragma once
// Every view of an op, in the order of its declaration: for code that treats all ops alike (moving an op's
// memory to a device and back, say).

#include "ops/ops.h"

namespace ddsc {

namespace visiting {

template <class F, class... Views>
void each(const F& visit, Views&... views) {
  (visit(views), ...);
}

template <class F>
void ragged(const F& visit, Ragged& cells) {
  each(visit, cells.offsets, cells.cell, cells.position, cells.cellIndex);
}

template <class F>
void grouping(const F& visit, Grouping& groups) {
  each(visit, groups.ids, groups.starts, groups.rows);
}

template <class F>
void rotary(const F& visit, RotaryTable& table) {
  each(visit, table.cosine, table.sine);
}

}  // namespace visiting

// visit(view) for each Span, Matrix and ConstMatrix, empty ones included.

template <class F>
void forEachView(Embed& op, const F& visit) {
  visiting::each(visit, op.tokens, op.genes, op.rankTable, op.geneTable, op.x);
}
template <class F>
void forEachView(EmbedGradient& op, const F& visit) {
  visit(op.dx);
  visiting::grouping(visit, op.byToken);
  visiting::grouping(visit, op.byGene);
  visiting::each(visit, op.dRankTable, op.dGeneTable);
}
template <class F>
void forEachView(Linear& op, const F& visit) {
  visiting::each(visit, op.x, op.weight, op.bias, op.preactivation, op.residual, op.y);
}
template <class F>
void forEachView(LinearInputGradient& op, const F& visit) {
  visiting::each(visit, op.dy, op.weight, op.preactivation, op.dx);
}
template <class F>
void forEachView(LinearWeightGradient& op, const F& visit) {
  visiting::each(visit, op.dy, op.x, op.dweight, op.dbias);
}
template <class F>
void forEachView(NormModulate& op, const F& visit) {
  visiting::each(visit, op.x, op.gain, op.shift, op.scale, op.cell, op.y, op.mean, op.rstd);
}
template <class F>
void forEachView(NormModulateGradient& op, const F& visit) {
  visiting::each(visit, op.dy, op.x, op.gain, op.scale);
  visiting::ragged(visit, op.cells);
  visiting::each(visit, op.mean, op.rstd, op.dx, op.dgain, op.dshift, op.dscale);
}
template <class F>
void forEachView(Attention& op, const F& visit) {
  visit(op.qkv);
  visiting::ragged(visit, op.cells);
  visiting::rotary(visit, op.rotary);
  visiting::each(visit, op.out, op.logSumExp);
}
template <class F>
void forEachView(AttentionGradient& op, const F& visit) {
  visiting::each(visit, op.qkv, op.out, op.dout, op.logSumExp);
  visiting::ragged(visit, op.cells);
  visiting::rotary(visit, op.rotary);
  visit(op.dqkv);
}
template <class F>
void forEachView(GateResidual& op, const F& visit) {
  visiting::each(visit, op.x, op.h, op.gate);
  visiting::ragged(visit, op.cells);
  visit(op.y);
}
template <class F>
void forEachView(GateResidualGradient& op, const F& visit) {
  visiting::each(visit, op.dy, op.h, op.gate);
  visiting::ragged(visit, op.cells);
  visiting::each(visit, op.dh, op.dgate);
}
template <class F>
void forEachView(TimeFeatures& op, const F& visit) {
  visiting::each(visit, op.sigma, op.features);
}
template <class F>
void forEachView(GatherRows& op, const F& visit) {
  visiting::each(visit, op.source, op.index, op.out);
}
template <class F>
void forEachView(ScatterRows& op, const F& visit) {
  visiting::each(visit, op.source, op.index, op.out);
}
template <class F>
void forEachView(DiffusionLoss& op, const F& visit) {
  visiting::each(visit, op.logits, op.target, op.cell, op.noise.weight, op.noise.sigma, op.noise.time,
                 op.noise.meanWeight, op.loss, op.meanLoss, op.dlogits);
}
template <class F>
void forEachView(TokenStatistics& op, const F& visit) {
  visiting::each(visit, op.logits, op.target, op.targetLogProbability, op.best, op.bestProbability,
                 op.expectedToken);
}
template <class F>
void forEachView(DrawTokens& op, const F& visit) {
  visit(op.logits);
  visiting::ragged(visit, op.rows);
  visiting::each(visit, op.reveal, op.stay, op.sigma, op.tokens, op.probability);
}
template <class F>
void forEachView(SumOfSquares& op, const F& visit) {
  visiting::each(visit, op.values, op.result);
}
template <class F>
void forEachView(AdamW& op, const F& visit) {
  visiting::each(visit, op.weights, op.firstMoment, op.secondMoment, op.gradient, op.ema, op.copy,
                 op.squares);
}
template <class F>
void forEachView(Convert& op, const F& visit) {
  visiting::each(visit, op.in, op.out);
}

}  // namespace ddsc
