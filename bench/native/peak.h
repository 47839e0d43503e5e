#pragma once
#include <functional>
#include <string>

#include "bench/native/bench.h"
#include "core/views.h"

namespace ddsc::bench {

/// Measures `body`, one call of which does `flops` operations on operands of this type, then a plain loop of
/// multiplications in registers on as many threads with the units that the same instruction set has for them,
/// and prints which share of that the body reached.
void measureAgainstPeak(const Context& context, double flops, const std::function<void()>& body,
                        const std::string& part = "", DType operands = DType::f32);

}  // namespace ddsc::bench
