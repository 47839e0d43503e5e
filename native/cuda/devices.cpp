#include "cuda/devices.h"

#include "core/errors.h"
#include "cuda/runtime.h"

namespace ddsc::cuda {
namespace {

constexpr int kLeastMajor = 8;  // bf16 matrix instructions and asynchronous copies

std::string versionText(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string problemOf(const DriverState& driver) {
  if (driver.driver == 0) return "no NVIDIA driver is installed";
  if (driver.isTooOld) {
    return "the NVIDIA driver is too old: it serves CUDA " + versionText(driver.driver) + ", and CUDA " +
           versionText(driver.runtime) + " is needed";
  }
  if (!driver.failure.empty()) return "the NVIDIA driver answers: " + driver.failure;
  if (driver.devices.empty()) return "the NVIDIA driver sees no GPU";
  return "";
}

Gpu describe(const DeviceProperties& properties) {
  Gpu gpu{properties.name,        properties.major,           properties.minor,
          properties.memoryBytes, properties.multiprocessors, ""};
  if (properties.major < kLeastMajor) {
    gpu.problem = "compute capability " + std::to_string(gpu.major) + "." + std::to_string(gpu.minor) +
                  " is too old: 8.0 (Ampere) or later is needed";
  }
  return gpu;
}

}  // namespace

CudaState cudaState() {
  const DriverState driver = driverState();
  CudaState state;
  state.isBuilt = true;
  state.runtimeVersion = versionText(driver.runtime);
  if (driver.driver != 0) state.driverVersion = versionText(driver.driver);
  state.problem = problemOf(driver);
  if (state.problem.empty())
    for (const DeviceProperties& properties : driver.devices) state.gpus.push_back(describe(properties));
  return state;
}

Gpu usableGpu(int gpu) {
  const CudaState state = cudaState();
  const std::string name = "cuda:" + std::to_string(gpu) + ": ";
  if (state.gpus.empty()) throw Error("DEVICE_UNAVAILABLE", name + state.problem);
  if (gpu < 0 || gpu >= static_cast<int>(state.gpus.size())) {
    throw Error("DEVICE_UNAVAILABLE", name + "this machine has " + std::to_string(state.gpus.size()) +
                                          (state.gpus.size() == 1 ? " GPU" : " GPUs") + ", numbered from 0");
  }
  const Gpu& found = state.gpus[static_cast<std::size_t>(gpu)];
  if (!found.problem.empty()) throw Error("DEVICE_UNAVAILABLE", name + found.name + ": " + found.problem);
  return found;
}

void makeCurrent(int gpu) {
  static_cast<void>(usableGpu(gpu));
  useDevice(gpu);
}

GpuMemory gpuMemory(int gpu) {
  usableGpu(gpu);
  useDevice(gpu);
  const MemoryState state = deviceMemory();
  return {state.freeBytes, state.totalBytes};
}

}  // namespace ddsc::cuda
