// Devices by name, and what is known of each before anything is computed on it.
#include "addon/devices.h"

#include <charconv>
#include <string_view>

#include "addon/arguments.h"
#include "addon/async.h"
#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"
#include "cuda/devices.h"

namespace ddsc::addon {

namespace {

/// The first GPU that can be used; 0, which then fails with the reason, where none can.
int firstGpu() {
  const std::vector<cuda::Gpu> gpus = cuda::cudaState().gpus;
  for (std::size_t i = 0; i < gpus.size(); ++i)
    if (gpus[i].problem.empty()) return static_cast<int>(i);
  return 0;
}

/// N of "cuda:N", or the first GPU for "cuda"; -1 for another name.
int gpuOf(std::string_view device) {
  constexpr std::string_view prefix = "cuda:";
  if (device == "cuda") return firstGpu();
  if (!device.starts_with(prefix)) return -1;
  const std::string_view digits = device.substr(prefix.size());
  unsigned short number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
}

[[noreturn]] void refuse(const std::string& device) {
  throw Error("DEVICE_UNKNOWN", "there is no device \"" + device + "\"; use auto, cpu, cuda or cuda:N");
}

Napi::Object cpuObject(Napi::Env env) {
  const std::unique_ptr<Backend> backend = cpu::makeCpuBackend();
  Napi::Array sets = Napi::Array::New(env);
  for (const std::string& name : cpu::instructionSets()) sets.Set(sets.Length(), name);
  Napi::Object device = Napi::Object::New(env);
  device.Set("kind", "cpu");
  device.Set("name", "cpu");
  device.Set("description", backend->describe());
  device.Set("instructionSets", sets);
  device.Set("threads", backend->threads());
  return device;
}

Napi::Object gpuObject(Napi::Env env, std::size_t number, const cuda::Gpu& gpu) {
  Napi::Object device = Napi::Object::New(env);
  device.Set("kind", "cuda");
  device.Set("name", "cuda:" + std::to_string(number));
  device.Set("description", gpu.name);
  device.Set("computeCapability", std::to_string(gpu.major) + "." + std::to_string(gpu.minor));
  device.Set("memoryBytes", static_cast<double>(gpu.memoryBytes));
  device.Set("multiprocessors", gpu.multiprocessors);
  if (!gpu.problem.empty()) device.Set("problem", gpu.problem);
  return device;
}

}  // namespace

std::unique_ptr<Backend> makeBackend(const std::string& device) {
  if (device == "cpu") return cpu::makeCpuBackend();
  const int gpu = gpuOf(device);
  if (gpu < 0) refuse(device);
  return cuda::makeCudaBackend(gpu);
}

void makeCurrent(const std::string& device) {
  const int gpu = gpuOf(device);
  if (gpu < 0) refuse(device);
  cuda::makeCurrent(gpu);
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Napi::Array list = Napi::Array::New(env);
    list.Set(0u, cpuObject(env));
    const std::vector<cuda::Gpu> gpus = cuda::cudaState().gpus;
    for (std::size_t i = 0; i < gpus.size(); ++i) list.Set(list.Length(), gpuObject(env, i, gpus[i]));
    return list;
  });
}

Napi::Value cudaState(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const cuda::CudaState state = cuda::cudaState();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("isBuilt", state.isBuilt);
    if (!state.runtimeVersion.empty()) result.Set("runtimeVersion", state.runtimeVersion);
    if (!state.driverVersion.empty()) result.Set("driverVersion", state.driverVersion);
    if (!state.problem.empty()) result.Set("problem", state.problem);
    return result;
  });
}

Napi::Value gpuMemory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string device = argument(info, 0, "device").string();
    const int gpu = gpuOf(device);
    if (gpu < 0) refuse(device);
    const cuda::GpuMemory memory = cuda::gpuMemory(gpu);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("available", static_cast<double>(memory.freeBytes));
    result.Set("total", static_cast<double>(memory.totalBytes));
    return result;
  });
}

}  // namespace ddsc::addon
