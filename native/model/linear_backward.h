#pragma once
#include "model/parameters.h"

namespace ddsc {

/// y = x wᵀ + b backward: dw and db accumulate, dx = (dy w) * activation'(preactivation of x).
struct LinearBackward {
  Backend& backend;
  const ParameterStore& parameters;
  bool master;  // weights in float32 whatever the compute type

  void operator()(const char* place, const Matrix& dy, const ConstMatrix& x, const Parameter& weight,
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

}  // namespace ddsc
