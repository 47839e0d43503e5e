// A cell's state, in float32: what the cls row says after the last block, and what sums up the visible genes,
// zeros included, which have no row: z = cell_state(layer norm(cls)) + dropout(u + mlp(summary)). It tilts
// the base of each gene by exp(factor[gene] . z), and may move its size by exp(size_factor[gene] . z).
#include <algorithm>

#include "model/denoiser.h"
#include "model/linear_backward.h"

namespace ddsc {

namespace {

/// A row that is read for every cell.
ConstMatrix repeated(const float* row, std::int64_t cells, std::int64_t cols) {
  return {row, cells, cols, 0, DType::f32};
}

/// After those of the blocks.
Dropout summaryDropout(const DenoiserInput& input, const DenoiserConfig& config) {
  return dropoutOf(input, static_cast<std::size_t>(config.blocks), 0);
}

}  // namespace

void Denoiser::state(const ParameterStore& p, WeightSource source, const DenoiserInput& input,
                     DenoiserActivations& a, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const CountInput& counts = input.counts;
  const std::int64_t cells = input.cells.cells(), d = config_.hidden;
  StateActivations& s = a.state;
  s.cls = w.matrix(cells, d, DType::f32);
  s.normed = w.matrix(cells, d, DType::f32);
  s.z = w.matrix(cells, config_.state, DType::f32);
  s.mean = w.span<float>(cells);
  s.rstd = w.span<float>(cells);
  s.tilt = w.span<float>(counts.queries.size);
  const float* ones = constants_.as<float>();
  const ConstMatrix zeros = repeated(ones + d, cells, d);
  const auto run = [&](const auto& op) { backend_->at("state").run(op); };
  backend_->run(GatherRows{a.last, counts.cls, s.cls});
  run(NormModulate{s.cls, {ones, d}, zeros, zeros, counts.clsCells.cell, s.normed, s.mean, s.rstd});
  const auto linear = [&](const ConstMatrix& x, const Parameter& weight, const Parameter& bias,
                          Activation activation, const Matrix& pre, const ConstMatrix& residual,
                          const Matrix& y) {
    run(Linear{x, p.master(weight, source), p.vector(bias, source), activation, pre, residual, y,
               p.version()});
  };
  s.ofCls = config_.summary > 0 ? w.matrix(cells, config_.state, DType::f32) : s.z;
  linear(s.normed, names.cellState, names.cellStateBias, Activation::none, {}, {}, s.ofCls);
  if (config_.summary > 0) {
    s.preactivation = w.matrix(cells, d, DType::f32);
    s.hidden = w.matrix(cells, d, DType::f32);
    s.summary = w.matrix(cells, config_.state, DType::f32);
    linear(counts.summary, names.summaryIn, names.summaryInBias, Activation::geluTanh, s.preactivation, {},
           s.hidden);
    linear(s.hidden, names.summaryOut, names.summaryOutBias, Activation::none, {},
           counts.summary.columns(0, config_.state), s.summary);
    run(GateResidual{s.ofCls, s.summary, repeated(ones, cells, config_.state), counts.clsCells,
                     summaryDropout(input, config_), s.z});
  }
  backend_->run(Tilt{p.master(names.factor, source), s.z, counts.queryGenes, counts.queryCells.cell, s.tilt});
  if (!config_.sizesByState) return;
  s.logSize = w.span<float>(counts.queries.size);
  backend_->run(Tilt{p.master(names.sizeFactor, source), s.z, counts.queryGenes, counts.queryCells.cell,
                     s.logSize, p.vector(names.logSize, source)});
}

void Denoiser::stateBackward(const ParameterStore& p, const DenoiserInput& input,
                             const DenoiserActivations& a, const LossGradients& loss, const Matrix& dlast,
                             Workspace& w) {
  const ParameterLayout& names = p.layout();
  const CountInput& counts = input.counts;
  const StateActivations& s = a.state;
  const std::int64_t cells = input.cells.cells(), d = config_.hidden;
  const Matrix dz = w.matrix(cells, config_.state, DType::f32);
  const Matrix dnormed = w.matrix(cells, d, DType::f32), dcls = w.matrix(cells, d, DType::f32);
  const auto tilts = [&](Span<const float> gradient, const Parameter& factor, const Matrix& dstate) {
    backend_->run(TiltGradient{gradient, p.master(factor, WeightSource::weights), s.z, counts.queryGenes,
                               counts.queryCells, counts.byQueryGene, p.gradient(factor), dstate});
  };
  tilts(loss.dtilt, names.factor, dz);
  if (config_.sizesByState) {
    const Matrix ofSizes = w.matrix(cells, config_.state, DType::f32);
    tilts(loss.dlogSize, names.sizeFactor, ofSizes);
    backend_->run(AddRows{ofSizes, counts.clsCells.cell, dz});
  }
  const LinearBackward linear{*backend_, p, true};
  // The norm has neither gain nor modulation and the summary no gate: their gradients are not wanted.
  const Matrix unused = w.matrix(2 * cells + 1, std::max(d, config_.state), DType::f32);
  const float* ones = constants_.as<float>();
  if (config_.summary > 0) {
    const Matrix dsummary = w.matrix(cells, config_.state, DType::f32),
                 dhidden = w.matrix(cells, d, DType::f32);
    backend_->at("state").run(GateResidualGradient{dz, s.summary, repeated(ones, cells, config_.state),
                                                   counts.clsCells, summaryDropout(input, config_), dsummary,
                                                   unused.slice(0, cells).columns(0, config_.state)});
    linear("summary", dsummary, s.hidden, names.summaryOut, &names.summaryOutBias, dhidden,
           Activation::geluTanh, s.preactivation);
    linear("summary", dhidden, counts.summary, names.summaryIn, &names.summaryInBias, {});
  }
  linear("state", dz, s.normed, names.cellState, &names.cellStateBias, dnormed);
  backend_->zero(dcls.data, static_cast<std::size_t>(cells * d) * sizeof(float));
  backend_->zero(unused.data, static_cast<std::size_t>(unused.rows * d) * sizeof(float));
  backend_->at("state").run(NormModulateGradient{dnormed,
                                                 s.cls,
                                                 {ones, d},
                                                 repeated(ones + d, cells, d),
                                                 counts.clsCells,
                                                 s.mean,
                                                 s.rstd,
                                                 dcls,
                                                 {unused.row<float>(2 * cells), d},
                                                 unused.slice(0, cells).columns(0, d),
                                                 unused.slice(cells, cells).columns(0, d)});
  backend_->run(AddRows{dcls, counts.cls, dlast});
}

}  // namespace ddsc
