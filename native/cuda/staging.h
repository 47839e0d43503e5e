#pragma once
#include <cstddef>

#include "cuda/runtime.h"

namespace ddsc::cuda {

/// Page-locked memory on the way to the device: what is put in is copied at once, so that the caller's memory
/// is free again, and travels while the host goes on. Two halves are filled in turn: the host waits only for
/// a copy that left the other half before this one was filled.
class Staging {
 public:
  explicit Staging(Stream& stream) : stream_(&stream) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void upload(void* to, const void* fromHost, std::size_t bytes);

 private:
  static constexpr std::size_t kBytes = std::size_t{8} << 20;
  struct Half {
    std::byte* memory = nullptr;
    Event left;  // all copies from here
  };
  void turn();

  Stream* stream_;
  Half halves_[2];
  int filling_ = 0;
  std::size_t used_ = 0;  // of the half that is being filled
};

}  // namespace ddsc::cuda
