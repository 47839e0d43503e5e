#pragma once
#include <cstddef>

#include "core/errors.h"

namespace ddsc::cuda {

/// Error CUDA_OUT_OF_MEMORY for a request of so many bytes on the current device: what is free, what the
/// model that asks holds (0: not known), and what lowers it.
Error outOfMemory(std::size_t wanted, std::size_t held = 0);

}  // namespace ddsc::cuda
