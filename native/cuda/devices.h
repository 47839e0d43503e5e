#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace ddsc::cuda {

/// A GPU of this machine.
struct Gpu {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::size_t memoryBytes = 0;
  int multiprocessors = 0;
  std::string problem;  // why it cannot be used; empty where it can
};

/// What there is of CUDA, from the build to the GPUs.
struct CudaState {
  bool isBuilt = false;        // whether this program contains the CUDA backend
  std::string runtimeVersion;  // of CUDA, that it was built with: "13.0"; empty: not built
  std::string driverVersion;   // of CUDA, that the driver serves; empty: no driver
  std::vector<Gpu> gpus;       // numbered as in "cuda:0"
  std::string problem;         // why there are no GPUs; empty where there are
};

CudaState cudaState();

/// Free and total memory of a GPU, which the process begins to use with this. Throws as makeCudaBackend.
struct GpuMemory {
  std::size_t freeBytes = 0, totalBytes = 0;
};
GpuMemory gpuMemory(int gpu);

/// The GPU of that number. Throws Error DEVICE_UNAVAILABLE with the reason where it cannot be used.
Gpu usableGpu(int gpu);

/// Makes the GPU current for the calling thread, for libraries that go by that. Throws as makeCudaBackend.
void makeCurrent(int gpu);

/// Device memory for the scratch of products in bf16 where DDSC_GEMM lets a library compute some; 0 where it
/// does not. Throws Error GEMM_UNKNOWN.
std::size_t libraryScratchBytes();

}  // namespace ddsc::cuda
