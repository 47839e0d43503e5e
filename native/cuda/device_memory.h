#pragma once
#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

namespace ddsc::cuda {

/// Device memory that is kept when released, for the next request that it fits: asking the driver costs a
/// wait for the whole device. Memory handed out again may still be in use by earlier work on the stream,
/// which the stream's order makes right. What no longer fits is given back to the driver before a request
/// fails. Safe to call from several threads: what a caller disposes of may go while a call is under way.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  /// Throws Error CUDA_OUT_OF_MEMORY saying how much was asked, is taken and free, and what lowers it.
  void* allocate(std::size_t bytes);
  void release(void* memory) noexcept;

 private:
  void* fromDriver(std::size_t bytes);
  void giveBackIdle() noexcept;

  std::mutex mutex_;
  std::multimap<std::size_t, void*> idle_;        // by size
  std::unordered_map<void*, std::size_t> taken_;  // with size
  std::size_t takenBytes_ = 0;
};

}  // namespace ddsc::cuda
