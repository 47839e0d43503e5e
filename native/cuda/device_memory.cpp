#include "cuda/device_memory.h"

#include <string>

#include "core/errors.h"
#include "cuda/runtime.h"

namespace ddsc::cuda {
namespace {

constexpr std::size_t kGranule = std::size_t{64} << 10;

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1u << 19)) >> 20) + " MiB"; }

}  // namespace

DeviceMemory::~DeviceMemory() {
  giveBackIdle();
  for (const auto& [memory, bytes] : taken_) freeDevice(memory);
}

void* DeviceMemory::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t size = (bytes / kGranule + 1) * kGranule;
  // The smallest that fits, unless it would waste more than a quarter.
  const auto found = idle_.lower_bound(size);
  if (found != idle_.end() && found->first <= size + size / 4) {
    void* const memory = found->second;
    taken_.emplace(memory, found->first);
    takenBytes_ += found->first;
    idle_.erase(found);
    return memory;
  }
  void* const memory = fromDriver(size);
  taken_.emplace(memory, size);
  takenBytes_ += size;
  return memory;
}

void* DeviceMemory::fromDriver(std::size_t bytes) {
  try {
    return allocateDevice(bytes);
  } catch (const Error& error) {
    if (error.code() != "CUDA_OUT_OF_MEMORY") throw;
  }
  giveBackIdle();
  try {
    return allocateDevice(bytes);
  } catch (const Error& error) {
    if (error.code() != "CUDA_OUT_OF_MEMORY") throw;
    const MemoryState state = deviceMemory();
    throw Error("CUDA_OUT_OF_MEMORY",
                "the GPU has no " + mebibytes(bytes) + " for this call: " + mebibytes(state.freeBytes) +
                    " of " + mebibytes(state.totalBytes) + " are free and this model holds " +
                    mebibytes(takenBytes_) +
                    "; use a smaller batch, recompute activations (--recompute), bf16 or the cpu");
  }
}

void DeviceMemory::release(void* memory) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = taken_.find(memory);
  if (found == taken_.end()) return;
  takenBytes_ -= found->second;
  idle_.emplace(found->second, memory);
  taken_.erase(found);
}

void DeviceMemory::giveBackIdle() noexcept {
  for (const auto& [bytes, memory] : idle_) freeDevice(memory);
  idle_.clear();
}

}  // namespace ddsc::cuda
