#pragma once
#include <cstddef>

#include "cuda/runtime.h"

namespace ddsc::cuda {

/// Page-locked memory on the way to the device: what is put in is copied at once, so that the caller's memory
/// is free again, and travels while the host goes on. Waits for the stream only when it has filled up since
/// the last wait.
class Staging {
 public:
  explicit Staging(Stream& stream) : stream_(&stream) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void upload(void* to, const void* fromHost, std::size_t bytes);
  /// Waits for all work so far.
  void download(void* toHost, const void* from, std::size_t bytes);

 private:
  static constexpr std::size_t kBytes = std::size_t{8} << 20;
  std::byte* memory();

  Stream* stream_;
  std::byte* memory_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace ddsc::cuda
