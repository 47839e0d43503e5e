#pragma once
// What the benchmarks of a GPU share. bench/gpu.sh runs them beside PyTorch (bench/peer/gpu.py), which
// measures the same under the same names.

#include <functional>
#include <memory>
#include <string>

#include "bench/native/bench.h"
#include "ops/backend.h"

namespace ddsc::bench {

/// Device memory of so many elements, uniform in [-1, 1): zeros would be easy on the units.
Buffer randomBuffer(Backend& backend, std::int64_t elements, DType type);

/// Measures `give`, which gives the device something of `flops` operations: enough calls in a row that the
/// host and its waiting count for nothing.
void measureOnDevice(const Context& context, Backend& backend, double flops,
                     const std::function<void()>& give, const std::string& part);

}  // namespace ddsc::bench
