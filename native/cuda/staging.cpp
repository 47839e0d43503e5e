#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace ddsc::cuda {

Staging::~Staging() {
  // A copy may still be reading; a lost device has nothing under way.
  try {
    stream_->synchronize();
  } catch (...) {
  }
  freePinned(memory_);
}

std::byte* Staging::memory() {
  if (memory_ == nullptr) memory_ = static_cast<std::byte*>(allocatePinned(kBytes));
  return memory_;
}

void Staging::upload(void* to, const void* fromHost, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    if (used_ == kBytes) {
      stream_->synchronize();
      used_ = 0;
    }
    const std::size_t piece = std::min(bytes - done, kBytes - used_);
    std::byte* stop = memory() + used_;
    std::memcpy(stop, static_cast<const std::byte*>(fromHost) + done, piece);
    stream_->copyToDevice(static_cast<std::byte*>(to) + done, stop, piece);
    used_ += piece;
    done += piece;
  }
}

void Staging::download(void* toHost, const void* from, std::size_t bytes) {
  stream_->synchronize();
  used_ = 0;
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t piece = std::min(bytes - done, kBytes);
    stream_->copyToHost(memory(), static_cast<const std::byte*>(from) + done, piece);
    stream_->synchronize();
    std::memcpy(static_cast<std::byte*>(toHost) + done, memory(), piece);
    done += piece;
  }
}

}  // namespace ddsc::cuda
