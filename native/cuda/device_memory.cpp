#include "cuda/device_memory.h"

#include "cuda/errors.h"

namespace ddsc::cuda {
namespace {

constexpr std::size_t kGranule = std::size_t{64} << 10;

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
    throw outOfMemory(bytes, takenBytes_);
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

Scratch::~Scratch() { freeDevice(memory_); }

void* Scratch::bytes(std::size_t wanted) {
  if (wanted > size_) {
    stream_->synchronize();
    freeDevice(memory_);
    memory_ = nullptr;
    size_ = 0;
    memory_ = allocateDevice(grownSize(wanted));
    size_ = grownSize(wanted);
    ++generation_;
  }
  return memory_;
}

}  // namespace ddsc::cuda
