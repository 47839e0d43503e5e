#pragma once
#include "cuda/devices.h"

namespace ddsc::cuda {

/// The GPU of that number. Throws Error DEVICE_UNAVAILABLE with the reason where it cannot be used.
Gpu usableGpu(int gpu);

}  // namespace ddsc::cuda
