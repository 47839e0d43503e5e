// A cell's state: z = cell_state(layer norm of the cls row after the last block), in float32. It tilts the
// base of each gene by exp(factor[gene] . z).
#include "model/denoiser.h"
#include "model/linear_backward.h"

namespace ddsc {

namespace {

/// A row that is read for every cell.
ConstMatrix repeated(const float* row, std::int64_t cells, std::int64_t cols) {
  return {row, cells, cols, 0, DType::f32};
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
  run(Linear{s.normed,
             p.master(names.cellState, source),
             p.vector(names.cellStateBias, source),
             Activation::none,
             {},
             {},
             s.z,
             p.version()});
  backend_->run(Tilt{p.master(names.factor, source), s.z, counts.queryGenes, counts.queryCells.cell, s.tilt});
}

void Denoiser::stateBackward(const ParameterStore& p, const DenoiserInput& input,
                             const DenoiserActivations& a, Span<const float> dtilt, const Matrix& dlast,
                             Workspace& w) {
  const ParameterLayout& names = p.layout();
  const CountInput& counts = input.counts;
  const StateActivations& s = a.state;
  const std::int64_t cells = input.cells.cells(), d = config_.hidden;
  const Matrix dz = w.matrix(cells, config_.state, DType::f32);
  const Matrix dnormed = w.matrix(cells, d, DType::f32), dcls = w.matrix(cells, d, DType::f32);
  backend_->run(TiltGradient{dtilt, p.master(names.factor, WeightSource::weights), s.z, counts.queryGenes,
                             counts.queryCells, counts.byQueryGene, p.gradient(names.factor), dz});
  const LinearBackward linear{*backend_, p, true};
  linear("state", dz, s.normed, names.cellState, &names.cellStateBias, dnormed);
  // The norm has neither gain nor modulation: their gradients are not wanted.
  const Matrix unused = w.matrix(2 * cells + 1, d, DType::f32);
  backend_->zero(dcls.data, static_cast<std::size_t>(cells * d) * sizeof(float));
  backend_->zero(unused.data, static_cast<std::size_t>(unused.rows * d) * sizeof(float));
  const float* ones = constants_.as<float>();
  backend_->at("state").run(NormModulateGradient{dnormed,
                                                 s.cls,
                                                 {ones, d},
                                                 repeated(ones + d, cells, d),
                                                 counts.clsCells,
                                                 s.mean,
                                                 s.rstd,
                                                 dcls,
                                                 {unused.row<float>(2 * cells), d},
                                                 unused.slice(0, cells),
                                                 unused.slice(cells, cells)});
  backend_->run(AddRows{dcls, counts.cls, dlast});
}

}  // namespace ddsc
