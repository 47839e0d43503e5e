#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>

#include "cuda/runtime.h"

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

/// Device memory that grows and is kept. What an op took is void when the next op asks; work already on the
/// stream keeps its own, as the stream runs in order and memory that was outgrown is freed only when it is
/// idle.
class Scratch {
 public:
  explicit Scratch(Stream& stream) : stream_(&stream) {}
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// `count` elements, 256-byte aligned.
  template <class T>
  T* take(std::int64_t count) {
    return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }
  /// Bytes that it holds.
  std::size_t size() const { return size_; }
  /// Another number whenever the memory is another.
  int generation() const { return generation_; }
  /// What it holds after growing for so many bytes: more, so that it seldom grows.
  static constexpr std::size_t grownSize(std::size_t wanted) { return wanted + wanted / 4; }

 private:
  void* bytes(std::size_t wanted);

  Stream* stream_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  int generation_ = 0;
};

}  // namespace ddsc::cuda
