#pragma once
// Calls of NVIDIA's runtime, each checked. Only for sources that the CUDA compiler sees.

#include <cuda_runtime.h>

#include <cstddef>
#include <source_location>

#include "cuda/runtime.h"

namespace ddsc::cuda {

/// Throws Error CUDA_OUT_OF_MEMORY or CUDA_FAILED, naming `call` and the place, unless `result` is success.
/// An error that leaves the device unusable is remembered: every later call fails with CUDA_DEVICE_LOST.
void checkCall(cudaError_t result, const char* call,
               std::source_location where = std::source_location::current());
/// The same of the kernel that was launched last.
void checkLaunch(const char* kernel, std::source_location where = std::source_location::current());
/// Lets the kernel have so much dynamic shared memory.
void allowSharedMemory(const void* kernel, std::size_t bytes);

cudaStream_t handleOf(Stream& stream);

}  // namespace ddsc::cuda
