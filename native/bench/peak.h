#pragma once
#include <functional>
#include <string>

#include "bench/bench.h"

namespace ddsc::bench {

/// Measures `body`, one call of which does `flops` float32 operations, then a plain loop of multiply-adds on
/// as many threads with the vectors of the same instruction set, and prints which share of that the body
/// reached.
void measureAgainstPeak(const Context& context, double flops, const std::function<void()>& body,
                        const std::string& part = "");

}  // namespace ddsc::bench
