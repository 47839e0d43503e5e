// The backward pass: denoiser.cpp from the bottom up. `dx` is the gradient of the residual stream, float32,
// updated in place from block to block; gradients between ops share a few buffers.
#include "model/denoiser.h"

namespace ddsc {

namespace {

/// Gradients of one block's intermediate values; one set serves all blocks.
struct BlockGradients {
  Matrix narrow, wide, qkv, attended;  // [rows, D], [rows, 4D], [rows, 3D], [rows, D] T
};

/// y = x wᵀ + b backward: dw and db accumulate, dx = (dy w) * activation'(preactivation of x).
struct LinearBackward {
  Backend& backend;
  const ParameterStore& parameters;
  bool master;  // weights in float32 whatever the compute type

  void operator()(const char* place, const Matrix& dy, const Matrix& x, const Parameter& weight,
                  const Parameter* bias, const Matrix& dx, Activation activation = Activation::none,
                  const Matrix& preactivation = {}) const {
    const Span<float> dbias = bias != nullptr ? parameters.gradientVector(*bias) : Span<float>{};
    backend.at(place).run(LinearWeightGradient{dy, x, parameters.gradient(weight), dbias});
    if (!dx) return;
    const ConstMatrix w = master ? parameters.master(weight, WeightSource::weights)
                                 : parameters.weight(weight, WeightSource::weights);
    backend.at(place).run(LinearInputGradient{dy, w, activation, preactivation, dx, parameters.version()});
  }
};

}  // namespace

void Denoiser::backward(const ParameterStore& p, const DenoiserInput& input, const Grouping& byToken,
                        const Grouping& byGene, const DenoiserActivations& a, Matrix dlogits, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const std::int64_t d = config_.hidden, rows = input.cells.rows(), selected = input.selected.size;
  const auto gain = [&](const Parameter& parameter) { return p.vector(parameter, WeightSource::weights); };
  const auto matrix = [&](std::int64_t cols) { return w.matrix(rows, cols, compute_); };
  const auto run = [&](const char* place, const auto& op) { backend_->at(place).run(op); };
  const LinearBackward linear{*backend_, p, false};

  const BlockGradients all{matrix(d), matrix(4 * d), matrix(3 * d), matrix(d)};
  const Matrix dmodulation = w.matrix(a.modulation.rows, a.modulation.cols, DType::f32);
  Matrix dx = w.matrix(selected, d, DType::f32);
  backend_->zero(dx.data, static_cast<std::size_t>(selected * d) * sizeof(float));

  // Head.
  const Modulation m = headModulationOf(a.modulation, d), dm = headModulationOf(dmodulation, d);
  const Matrix dnormed = all.narrow.slice(0, selected);
  linear("head", dlogits, a.normed, names.head, &names.headBias, dnormed);
  run("head",
      NormModulateGradient{dnormed, a.last, gain(names.finalNorm), m.scale1, input.selectedCells, a.mean,
                           a.rstd, dx, p.gradientVector(names.finalNorm), dm.shift1, dm.scale1});

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
      backend_->run(ScatterRows{tailAttended, input.selected, all.narrow});
      dx = wholeDx;
      dattended = all.narrow;
    }
    backend_->run(AttentionGradient{s.qkv.columns(0, d), s.qkv.columns(d, 2 * d), s.attended, dattended,
                                    s.logSumExp, input.cells, input.cells, input.pairs, config_.heads,
                                    a.rotary, all.qkv.columns(0, d), all.qkv.columns(d, 2 * d)});
    linear("qkv", all.qkv, s.normed1, b.qkv, nullptr, all.narrow);
    run("attention", NormModulateGradient{all.narrow, s.x, gain(b.norm1), bm.scale1, input.cells, s.mean1,
                                          s.rstd1, dx, p.gradientVector(b.norm1), dbm.shift1, dbm.scale1});
  }

  backend_->run(EmbedGradient{dx, byToken, byGene, p.gradient(names.rankTable), p.gradient(names.geneTable)});

  // Conditioning: one linear for the modulation of the whole network, then the time embedding's two layers.
  const LinearBackward conditioning{*backend_, p, true};
  const Matrix dcondition = w.matrix(a.condition.rows, a.condition.cols, DType::f32);
  const Matrix dhidden = w.matrix(a.timeHidden.rows, a.timeHidden.cols, DType::f32);
  conditioning("modulation", dmodulation, a.condition, names.allModulation, &names.allModulationBias,
               dcondition, Activation::silu, a.conditionPre);
  conditioning("time out", dcondition, a.timeHidden, names.timeOut, &names.timeOutBias, dhidden,
               Activation::silu, a.timeHiddenPre);
  conditioning("time in", dhidden, a.features, names.timeIn, &names.timeInBias, {});
}

}  // namespace ddsc
