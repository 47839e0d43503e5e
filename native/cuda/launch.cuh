#pragma once
// Launching a kernel on a stream, on the device or on the emulator.

#include <cstddef>
#include <cstdint>

#include "cuda/primitives.cuh"
#include "cuda/runtime.h"

#if defined(__CUDACC__)
#include "cuda/runtime_calls.cuh"
#else
#include <string>

#include "core/errors.h"
#include "emulator/instances.h"
#include "emulator/runtime.h"
#endif

namespace ddsc::cuda {

/// The most blocks a grid may have in y and in z; in x it may have 2^31 - 1.
inline constexpr std::int64_t kMostInYOrZ = 65535;

/// Blocks of a grid, threads of a block (whole warps) and the block's shared memory.
struct LaunchShape {
  std::int64_t x = 1, y = 1, z = 1;
  int threads = 256;
  std::size_t sharedBytes = 0;
};

/// Runs `kernel(arguments...)` in every thread of the grid. An empty grid does nothing. `name` is for errors.
template <auto kernel, class... Arguments>
void launch(Stream& stream, const char* name, const LaunchShape& shape, const Arguments&... arguments) {
  if (shape.x == 0 || shape.y == 0 || shape.z == 0) return;
#if defined(__CUDACC__)
  allowSharedMemory(reinterpret_cast<const void*>(kernel), shape.sharedBytes);
  const dim3 blocks(static_cast<unsigned>(shape.x), static_cast<unsigned>(shape.y),
                    static_cast<unsigned>(shape.z));
  kernel<<<blocks, static_cast<unsigned>(shape.threads), shape.sharedBytes, handleOf(stream)>>>(arguments...);
  checkLaunch(name);
#else
  if (shape.x > INT32_MAX || shape.y > kMostInYOrZ || shape.z > kMostInYOrZ)
    throw Error("CUDA_FAILED", std::string(name) + ": invalid configuration argument");
  const emulator::GridShape grid{
      {static_cast<int>(shape.x), static_cast<int>(shape.y), static_cast<int>(shape.z)},
      shape.threads,
      shape.sharedBytes};
  emulator::enqueue(stream, [=] {
    emulator::runGrid(name, grid, [&] { kernel(arguments...); });
    emulator::instanceOf<kernel>.ran = true;
  });
#endif
}

}  // namespace ddsc::cuda
