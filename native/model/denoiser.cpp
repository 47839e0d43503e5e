// The forward pass. Only the rows whose logits are wanted go through the last block's output layers and the
// head: everything after the last attention acts on single tokens.
#include "model/denoiser.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/errors.h"

namespace ddsc {

void throwIfCancelled(const std::atomic<bool>* flag) {
  if (flag != nullptr && flag->load(std::memory_order_relaxed))
    throw Error("CANCELLED", "the call was cancelled");
}

Modulation modulationOf(const Matrix& all, std::size_t block, std::int64_t d) {
  const std::int64_t first = static_cast<std::int64_t>(block) * 6 * d;
  return {all.columns(first, d),         all.columns(first + d, d),     all.columns(first + 2 * d, d),
          all.columns(first + 3 * d, d), all.columns(first + 4 * d, d), all.columns(first + 5 * d, d)};
}

Modulation headModulationOf(const Matrix& all, std::int64_t d) {
  Modulation m;
  m.shift1 = all.columns(all.cols - 2 * d, d);
  m.scale1 = all.columns(all.cols - d, d);
  return m;
}

Denoiser::Denoiser(Backend& backend, const DenoiserConfig& config, DType compute)
    : backend_(&backend), config_(config), compute_(compute) {}

RotaryTable Denoiser::rotary(std::int64_t longest) {
  if (!config_.rotary) return {};
  const std::int64_t half = config_.headDim() / 2;
  if (longest > rotaryRows_) {
    const std::int64_t rows = std::max(longest, 2 * rotaryRows_);
    std::vector<float> cosine(static_cast<std::size_t>(rows * half)), sine(cosine.size());
    for (std::int64_t i = 0; i < half; ++i) {
      // Rounded to float32 where the reference does, so that far positions agree.
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(config_.headDim());
      const float rate = 1.0f / static_cast<float>(std::pow(10000.0, static_cast<double>(exponent)));
      for (std::int64_t row = 0; row < rows; ++row) {
        const float angle = static_cast<float>(row) * rate;
        cosine[static_cast<std::size_t>(row * half + i)] =
            static_cast<float>(std::cos(static_cast<double>(angle)));
        sine[static_cast<std::size_t>(row * half + i)] =
            static_cast<float>(std::sin(static_cast<double>(angle)));
      }
    }
    const std::size_t bytes = cosine.size() * sizeof(float);
    cosine_ = Buffer(*backend_, bytes);
    sine_ = Buffer(*backend_, bytes);
    backend_->upload(cosine_.as<float>(), cosine.data(), bytes);
    backend_->upload(sine_.as<float>(), sine.data(), bytes);
    rotaryRows_ = rows;
  }
  return {{cosine_.as<float>(), rotaryRows_ * half}, {sine_.as<float>(), rotaryRows_ * half}};
}

BlockActivations Denoiser::plan(const DenoiserInput& input, bool last, Workspace& w) const {
  const std::int64_t d = config_.hidden, rows = input.cells.rows();
  const std::int64_t tail = last ? input.selected.size : rows;
  BlockActivations s;
  s.x = w.matrix(rows, d, DType::f32);
  s.normed1 = w.matrix(rows, d, compute_);
  s.qkv = w.matrix(rows, 3 * d, compute_);
  s.attended = w.matrix(rows, d, compute_);
  s.logSumExp = w.matrix(rows, config_.heads, DType::f32);
  s.mean1 = w.span<float>(rows);
  s.rstd1 = w.span<float>(rows);
  s.tailX = last ? w.matrix(tail, d, DType::f32) : s.x;
  s.tailAttended = last ? w.matrix(tail, d, compute_) : s.attended;
  s.projected = w.matrix(tail, d, compute_);
  s.middle = w.matrix(tail, d, DType::f32);
  s.normed2 = w.matrix(tail, d, compute_);
  s.mean2 = w.span<float>(tail);
  s.rstd2 = w.span<float>(tail);
  s.preactivation = w.matrix(tail, 4 * d, compute_);
  s.activated = w.matrix(tail, 4 * d, compute_);
  s.expanded = w.matrix(tail, d, compute_);
  return s;
}

void Denoiser::condition(const ParameterStore& p, WeightSource source, const DenoiserInput& input,
                         DenoiserActivations& a, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const std::int64_t cells = input.cells.cells(), width = config_.condDim;
  a.features = w.matrix(cells, kTimeFeatures, DType::f32);
  a.timeHiddenPre = w.matrix(cells, width, DType::f32);
  a.timeHidden = w.matrix(cells, width, DType::f32);
  a.conditionPre = w.matrix(cells, width, DType::f32);
  a.condition = w.matrix(cells, width, DType::f32);
  a.modulation = w.matrix(cells, names.allModulation.rows, DType::f32);

  backend_->run(TimeFeatures{input.conditioning, a.features});
  const auto linear = [&](const char* place, const Matrix& x, const Parameter& weight, const Parameter& bias,
                          Activation activation, const Matrix& pre, const Matrix& y) {
    backend_->at(place).run(
        Linear{x, p.master(weight, source), p.vector(bias, source), activation, pre, {}, y, p.version()});
  };
  linear("time in + silu", a.features, names.timeIn, names.timeInBias, Activation::silu, a.timeHiddenPre,
         a.timeHidden);
  linear("time out + silu", a.timeHidden, names.timeOut, names.timeOutBias, Activation::silu, a.conditionPre,
         a.condition);
  linear("modulation", a.condition, names.allModulation, names.allModulationBias, Activation::none, {},
         a.modulation);
}

void Denoiser::block(std::size_t index, const ParameterStore& p, WeightSource source,
                     const DenoiserInput& input, const DenoiserActivations& a) {
  const BlockActivations& s = a.blocks[index];
  const BlockParameters& names = p.layout().blocks[index];
  const Modulation m = modulationOf(a.modulation, index, config_.hidden);
  const bool last = index + 1 == static_cast<std::size_t>(config_.blocks);
  const Ragged& tail = last ? input.selectedCells : input.cells;
  const auto vector = [&](const Parameter& parameter) { return p.vector(parameter, source); };
  const auto weight = [&](const Parameter& parameter) { return p.weight(parameter, source); };
  // Where activations go to save memory, no packed copies of weights shall take their place.
  const std::uint64_t version = a.recomputed > 0 ? 0 : p.version();
  const auto run = [&](const char* place, const auto& op) { backend_->at(place).run(op); };

  run("attention", NormModulate{s.x, vector(names.norm1), m.shift1, m.scale1, input.cells.cell, s.normed1,
                                s.mean1, s.rstd1});
  run("qkv", Linear{s.normed1, weight(names.qkv), {}, Activation::none, {}, {}, s.qkv, version});
  const std::int64_t d = config_.hidden;
  backend_->run(Attention{s.qkv.columns(0, d), s.qkv.columns(d, 2 * d), input.cells, input.cells, input.pairs,
                          config_.heads, a.rotary, s.attended, s.logSumExp});
  if (last) {
    backend_->run(GatherRows{s.x, input.selected, s.tailX});
    backend_->run(GatherRows{s.attended, input.selected, s.tailAttended});
  }
  run("attention out",
      Linear{s.tailAttended, weight(names.attentionOut), {}, Activation::none, {}, {}, s.projected, version});
  run("attention", GateResidual{s.tailX, s.projected, m.gate1, tail, dropoutOf(input, index, 0), s.middle});

  run("mlp", NormModulate{s.middle, vector(names.norm2), m.shift2, m.scale2, tail.cell, s.normed2, s.mean2,
                          s.rstd2});
  run("mlp in + gelu", Linear{s.normed2,
                              weight(names.mlpIn),
                              vector(names.mlpInBias),
                              Activation::geluTanh,
                              s.preactivation,
                              {},
                              s.activated,
                              version});
  run("mlp out", Linear{s.activated,
                        weight(names.mlpOut),
                        vector(names.mlpOutBias),
                        Activation::none,
                        {},
                        {},
                        s.expanded,
                        version});
}

DenoiserActivations Denoiser::forward(const ParameterStore& p, WeightSource source,
                                      const DenoiserInput& input, Keep keep, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const std::int64_t d = config_.hidden;
  DenoiserActivations a;
  a.rotary = rotary(input.cells.longest);
  condition(p, source, input, a, w);

  const auto count = static_cast<std::size_t>(config_.blocks);
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    // What is not kept, blocks write over one another; only the last has other shapes.
    if (keep == Keep::everything || i == 0 || last) {
      a.blocks.push_back(plan(input, last, w));
      continue;
    }
    BlockActivations shared = a.blocks.back();
    if (keep == Keep::blockInputs) shared.x = shared.tailX = w.matrix(input.cells.rows(), d, DType::f32);
    a.blocks.push_back(shared);
  }
  // When forward ends, the shared buffers still hold the last block that has them.
  if (keep == Keep::blockInputs && count > 2) a.recomputed = count - 2;
  a.last = w.matrix(input.selected.size, d, DType::f32);

  const auto run = [&](const char* place, const auto& op) { backend_->at(place).run(op); };
  backend_->run(Embed{input.tokens, input.genes, p.master(names.rankTable, source),
                      p.master(names.geneTable, source), a.blocks.front().x});
  for (std::size_t i = 0; i < count; ++i) {
    throwIfCancelled(input.cancelled);
    block(i, p, source, input, a);
    const bool last = i + 1 == count;
    const BlockActivations& s = a.blocks[i];
    run("mlp", GateResidual{s.middle, s.expanded, modulationOf(a.modulation, i, d).gate2,
                            last ? input.selectedCells : input.cells, dropoutOf(input, i, 1),
                            last ? a.last : a.blocks[i + 1].x});
  }

  a.normed = w.matrix(input.selected.size, d, compute_);
  a.mean = w.span<float>(input.selected.size);
  a.rstd = w.span<float>(input.selected.size);
  a.logits = w.matrix(input.selected.size, config_.vocabSize, DType::f32);
  const Modulation m = headModulationOf(a.modulation, d);
  run("head", NormModulate{a.last, p.vector(names.finalNorm, source), m.shift1, m.scale1,
                           input.selectedCells.cell, a.normed, a.mean, a.rstd});
  run("head", Linear{a.normed,
                     p.weight(names.head, source),
                     p.vector(names.headBias, source),
                     Activation::none,
                     {},
                     {},
                     a.logits,
                     p.version()});
  return a;
}

}  // namespace ddsc
