#pragma once
#include <cstddef>
#include <cstdint>

namespace ddsc::cuda::emulator {

/// What DDSC_EMULATED_GPU says of the device, so that tests can have one that is missing, old, small or
/// fails. Words separated by commas: no-driver, old-driver, no-gpu, old-gpu,
/// ampere (in place of hopper), memory=MIB, fails-at=N (the
/// stream's Nth piece of work, in this process, from 1). Another variable, DDSC_EMULATED_CUBLASLT, holds the
/// paths to look for cuBLASLt at, separated by commas; where it is not set there is none.
struct Settings {
  bool hasDriver = true, isDriverOld = false, hasGpu = true, isGpuOld = false, isAmpere = false;
  std::size_t memoryBytes = std::size_t{2} << 30;
  std::int64_t failsAt = 0;  // 0: never
};

/// Read once. Throws Error CUDA_EMULATOR for a word that it does not know.
const Settings& settings();

}  // namespace ddsc::cuda::emulator
