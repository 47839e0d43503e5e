// The backward pass: denoiser.cpp from the bottom up. `dx` is the gradient of the residual stream, float32,
// updated in place from block to block; gradients between ops share a few buffers.
#include "model/denoiser.h"
#include "model/linear_backward.h"

namespace ddsc {

namespace {

/// Gradients of one block's intermediate values; one set serves all blocks.
struct BlockGradients {
  Matrix narrow, wide, attended;  // [rows, D], [rows, 4D], [rows, D] T
  Matrix query, keyValue;         // [asking rows, D], [key rows, 2D] T
};

}  // namespace

void Denoiser::backward(const ParameterStore& p, const DenoiserInput& input, const Grouping& byToken,
                        const Grouping& byGene, const DenoiserActivations& a, const LossGradients& loss,
                        Workspace& w) {
  const ParameterLayout& names = p.layout();
  const std::int64_t d = config_.hidden, rows = input.cells.rows(), selected = input.selected.size;
  const auto gain = [&](const Parameter& parameter) { return p.vector(parameter, WeightSource::weights); };
  const auto matrix = [&](std::int64_t cols) { return w.matrix(rows, cols, compute_); };
  const auto run = [&](const char* place, const auto& op) { backend_->at(place).run(op); };
  const LinearBackward linear{*backend_, p, false};

  BlockGradients all{matrix(d), matrix(4 * d), matrix(d), {}, {}};
  if (config_.ofCounts()) {
    all.query = matrix(d);
    all.keyValue = w.matrix(input.counts.keyRows.size, 2 * d, compute_);
  } else {
    const Matrix qkv = matrix(3 * d);
    all.query = qkv.columns(0, d);
    all.keyValue = qkv.columns(d, 2 * d);
  }
  const Matrix dmodulation = w.matrix(a.modulation.rows, a.modulation.cols, DType::f32);
  const Ragged& headCells = config_.ofCounts() ? input.counts.queryCells : input.selectedCells;
  Matrix dhead = w.matrix(headCells.rows(), d, DType::f32);
  backend_->zero(dhead.data, static_cast<std::size_t>(dhead.rows * d) * sizeof(float));

  // Head.
  const Modulation m = headModulationOf(a.modulation, d), dm = headModulationOf(dmodulation, d);
  const Matrix dnormed = all.narrow.slice(0, headCells.rows());
  linear("head", loss.dlogits, a.normed, names.head, &names.headBias, dnormed);
  run("head", NormModulateGradient{dnormed, a.headRows, gain(names.finalNorm), m.scale1, headCells, a.mean,
                                   a.rstd, dhead, p.gradientVector(names.finalNorm), dm.shift1, dm.scale1});
  Matrix dx = dhead;
  if (config_.ofCounts()) {
    dx = w.matrix(selected, d, DType::f32);
    backend_->run(ScatterRows{dhead, input.counts.queries, dx});
    stateBackward(p, input, a, loss, dx, w);
  }

  for (std::size_t i = a.blocks.size(); i-- > 0;) {
    throwIfCancelled(input.cancelled);
    if (i < a.recomputed) block(i, p, WeightSource::weights, input, a);
    const bool last = i + 1 == a.blocks.size();
    const BlockActivations& s = a.blocks[i];
    const BlockParameters& b = names.blocks[i];
    const Ragged& tail = last ? input.selectedCells : input.cells;
    const Modulation bm = modulationOf(a.modulation, i, d), dbm = modulationOf(dmodulation, i, d);
    const Matrix narrow = all.narrow.slice(0, tail.rows()), wide = all.wide.slice(0, tail.rows());
    const Matrix tailAttended = all.attended.slice(0, tail.rows());

    // MLP.
    run("mlp",
        GateResidualGradient{dx, s.expanded, bm.gate2, tail, dropoutOf(input, i, 1), narrow, dbm.gate2});
    linear("mlp out", narrow, s.activated, b.mlpOut, &b.mlpOutBias, wide, Activation::geluTanh,
           s.preactivation);
    linear("mlp in", wide, s.normed2, b.mlpIn, &b.mlpInBias, narrow);
    run("mlp", NormModulateGradient{narrow, s.middle, gain(b.norm2), bm.scale2, tail, s.mean2, s.rstd2, dx,
                                    p.gradientVector(b.norm2), dbm.shift2, dbm.scale2});

    // Attention.
    run("attention",
        GateResidualGradient{dx, s.projected, bm.gate1, tail, dropoutOf(input, i, 0), narrow, dbm.gate1});
    linear("attention out", narrow, s.tailAttended, b.attentionOut, nullptr, tailAttended);
    Matrix dattended = tailAttended;
    if (last) {
      const Matrix wholeDx = w.matrix(rows, d, DType::f32);
      backend_->run(ScatterRows{dx, input.selected, wholeDx});
      dx = wholeDx;
      if (!config_.ofCounts()) {
        backend_->run(ScatterRows{tailAttended, input.selected, all.narrow});
        dattended = all.narrow;
      }
    }
    const Ragged& ask = asking(input, i);
    AttentionGradient attention{s.query,
                                s.keyValue,
                                s.attended,
                                dattended,
                                s.logSumExp,
                                ask,
                                ask,
                                input.pairs,
                                config_.heads,
                                a.rotary,
                                all.query.slice(0, ask.rows()),
                                all.keyValue};
    if (config_.ofCounts()) {
      attention.keys = input.counts.keys;
      attention.pairs = last ? input.counts.selectedPairs : input.counts.pairs;
    }
    backend_->run(attention);
    projectBackward(i, p, input, s, attention, all.narrow, w);
    run("attention", NormModulateGradient{all.narrow, s.x, gain(b.norm1), bm.scale1, input.cells, s.mean1,
                                          s.rstd1, dx, p.gradientVector(b.norm1), dbm.shift1, dbm.scale1});
    if (input.blockDone != nullptr) (*input.blockDone)();
  }

  backend_->run(EmbedGradient{dx, byToken, byGene, p.gradient(names.rankTable), p.gradient(names.geneTable)});

  conditionBackward(p, input, a, dmodulation, w);
}

}  // namespace ddsc
