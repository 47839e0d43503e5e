#pragma once
// Errors that only a GPU has.

#include <cstddef>
#include <string>

#include "core/errors.h"

namespace ddsc::cuda {

/// Error CUDA_OUT_OF_MEMORY for a request of so many bytes on the current device: what is free, what the
/// model that asks holds (0: not known), and what lowers it.
Error outOfMemory(std::size_t wanted, std::size_t held = 0);

/// Remembers that a GPU failed in a way after which the process's results on it cannot be trusted.
void markDeviceLost(const std::string& why);
/// Throws Error CUDA_DEVICE_LOST once that has happened.
void throwIfDeviceLost();

}  // namespace ddsc::cuda
