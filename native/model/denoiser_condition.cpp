// What a cell is told: of ranks the noise level; of counts how much is hidden, what is visible, how much
// there is in all, and the conditions. Numbers become vectors each by a map of its own, for all cells at
// once; what is not given has a learnt vector in its place. c = silu(sum), and one linear makes the
// modulation of the whole network of it.
#include "model/denoiser.h"
#include "model/linear_backward.h"

namespace ddsc {

void Denoiser::condition(const ParameterStore& p, WeightSource source, const DenoiserInput& input,
                         DenoiserActivations& a, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const std::int64_t cells = input.cells.cells(), width = config_.condDim;
  const std::int64_t numbers = config_.ofCounts() ? input.counts.numbers.size : cells;
  a.features = w.matrix(numbers, kTimeFeatures, DType::f32);
  a.timeHiddenPre = w.matrix(numbers, width, DType::f32);
  a.timeHidden = w.matrix(numbers, width, DType::f32);
  if (config_.ofCounts()) a.timeOut = w.matrix(numbers, width, DType::f32);
  a.conditionPre = w.matrix(cells, width, DType::f32);
  a.condition = w.matrix(cells, width, DType::f32);
  a.modulation = w.matrix(cells, names.allModulation.rows, DType::f32);

  backend_->run(TimeFeatures{config_.ofCounts() ? input.counts.numbers : input.conditioning, a.features});
  const auto linear = [&](const char* place, const Matrix& x, const Parameter& weight, const Parameter& bias,
                          Activation activation, const Matrix& pre, const Matrix& y) {
    backend_->at(place).run(
        Linear{x, p.master(weight, source), p.vector(bias, source), activation, pre, {}, y, p.version()});
  };
  if (config_.ofCounts()) {
    std::int64_t first = 0;
    for (std::size_t i = 0; i < names.numbers.size(); ++i) {
      const NumberMap& map = names.numbers[i];
      const std::int64_t count = input.counts.given[i].size;
      if (count == 0) continue;
      linear("condition in + silu", a.features.slice(first, count), map.in, map.inBias, Activation::silu,
             a.timeHiddenPre.slice(first, count), a.timeHidden.slice(first, count));
      linear("condition out", a.timeHidden.slice(first, count), map.out, map.outBias, Activation::none, {},
             a.timeOut.slice(first, count));
      first += count;
    }
    backend_->run(ConditionSum{a.timeOut, p.master(names.labels, source), input.counts.terms, a.conditionPre,
                               a.condition});
  } else {
    linear("time in + silu", a.features, names.time.in, names.time.inBias, Activation::silu, a.timeHiddenPre,
           a.timeHidden);
    linear("time out + silu", a.timeHidden, names.time.out, names.time.outBias, Activation::silu,
           a.conditionPre, a.condition);
  }
  linear("modulation", a.condition, names.allModulation, names.allModulationBias, Activation::none, {},
         a.modulation);
}

void Denoiser::conditionBackward(const ParameterStore& p, const DenoiserInput& input,
                                 const DenoiserActivations& a, const Matrix& dmodulation, Workspace& w) {
  const ParameterLayout& names = p.layout();
  const LinearBackward linear{*backend_, p, true};
  // Of the sum, before its silu.
  const Matrix dcondition = w.matrix(a.condition.rows, a.condition.cols, DType::f32);
  const Matrix dhidden = w.matrix(a.timeHidden.rows, a.timeHidden.cols, DType::f32);
  linear("modulation", dmodulation, a.condition, names.allModulation, &names.allModulationBias, dcondition,
         Activation::silu, a.conditionPre);
  if (!config_.ofCounts()) {
    linear("time out", dcondition, a.timeHidden, names.time.out, &names.time.outBias, dhidden,
           Activation::silu, a.timeHiddenPre);
    linear("time in", dhidden, a.features, names.time.in, &names.time.inBias, {});
    return;
  }
  backend_->run(EmbedGradient{dcondition, input.counts.byLabel, {}, p.gradient(names.labels), {}});
  const Matrix dout = w.matrix(a.timeOut.rows, a.timeOut.cols, DType::f32);
  std::int64_t first = 0;
  for (std::size_t i = 0; i < names.numbers.size(); ++i) {
    const NumberMap& map = names.numbers[i];
    const Span<const std::int32_t> given = input.counts.given[i];
    if (given.size == 0) continue;
    const auto own = [&](const Matrix& all) { return all.slice(first, given.size); };
    backend_->run(GatherRows{dcondition, given, own(dout)});
    linear("condition out", own(dout), own(a.timeHidden), map.out, &map.outBias, own(dhidden),
           Activation::silu, own(a.timeHiddenPre));
    linear("condition in", own(dhidden), own(a.features), map.in, &map.inBias, {});
    first += given.size;
  }
}

}  // namespace ddsc
