#pragma once
#include <string>

namespace ddsc::cuda {

/// Remembers that a GPU failed in a way after which the process's results on it cannot be trusted.
void rememberLoss(const std::string& why);
/// Throws Error CUDA_DEVICE_LOST once that has happened.
void throwIfLost();

}  // namespace ddsc::cuda
