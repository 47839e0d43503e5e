// In place of the CUDA backend in builds that have none. DDSC_CUDA_MISSING says why (see cuda.cmake).
#include "cuda/cuda_backend.h"

#include <string>

#include "core/errors.h"
#include "cuda/devices.h"

namespace ddsc::cuda {
namespace {

std::string problem() { return std::string("this build has no CUDA backend: ") + DDSC_CUDA_MISSING; }

}  // namespace

CudaState cudaState() {
  CudaState state;
  state.problem = problem();
  return state;
}

GpuMemory gpuMemory(int gpu) {
  throw Error("DEVICE_UNAVAILABLE", "cuda:" + std::to_string(gpu) + ": " + problem());
}

void makeCurrent(int gpu) {
  throw Error("DEVICE_UNAVAILABLE", "cuda:" + std::to_string(gpu) + ": " + problem());
}

std::size_t libraryScratchBytes() { return 0; }

std::unique_ptr<Backend> makeCudaBackend(int gpu) {
  throw Error("DEVICE_UNAVAILABLE", "cuda:" + std::to_string(gpu) + ": " + problem());
}

}  // namespace ddsc::cuda
