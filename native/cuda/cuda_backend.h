#pragma once
#include <memory>

#include "ops/backend.h"

namespace ddsc::cuda {

/// A backend on GPU `device` (from 0). Throws Error DEVICE_UNAVAILABLE with the reason: no driver, driver too
/// old, no such GPU, a GPU older than compute capability 8.0.
std::unique_ptr<Backend> makeCudaBackend(int device);

}  // namespace ddsc::cuda
