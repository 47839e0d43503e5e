#pragma once
#include <napi.h>

#include <memory>
#include <string>

#include "ops/backend.h"

namespace ddsc::addon {

/// The backend of a device's name: "cpu", "cuda" (the first GPU that can be used) or "cuda:N". Throws Error
/// DEVICE_UNKNOWN, DEVICE_UNAVAILABLE with the reason.
std::unique_ptr<Backend> makeBackend(const std::string& device);

/// Makes the GPU of that name current for the calling thread. Throws as makeBackend; DEVICE_UNKNOWN for
/// "cpu".
void makeCurrent(const std::string& device);

/// devices(): the CPU and the GPUs.
Napi::Value devices(const Napi::CallbackInfo& info);
/// cudaState(): what there is of CUDA, or why there is none.
Napi::Value cudaState(const Napi::CallbackInfo& info);
/// gpuMemory(device): free and total bytes.
Napi::Value gpuMemory(const Napi::CallbackInfo& info);

}  // namespace ddsc::addon
