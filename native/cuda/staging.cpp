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
  for (const Half& half : halves_) freePinned(half.memory);
}

void Staging::turn() {
  stream_->record(halves_[filling_].left);
  filling_ = 1 - filling_;
  halves_[filling_].left.wait();
  used_ = 0;
}

void Staging::upload(void* to, const void* fromHost, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {
    if (used_ == kBytes) turn();
    Half& half = halves_[filling_];
    if (half.memory == nullptr) half.memory = static_cast<std::byte*>(allocatePinned(kBytes));
    const std::size_t piece = std::min(bytes - done, kBytes - used_);
    std::byte* stop = half.memory + used_;
    std::memcpy(stop, static_cast<const std::byte*>(fromHost) + done, piece);
    stream_->copyToDevice(static_cast<std::byte*>(to) + done, stop, piece);
    used_ += piece;
    done += piece;
  }
}

}  // namespace ddsc::cuda
