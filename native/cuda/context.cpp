#include "cuda/context.h"

namespace ddsc::cuda {

Scratch::~Scratch() { freeDevice(memory_); }

void* Scratch::bytes(std::size_t wanted) {
  if (wanted > size_) {
    stream_->synchronize();
    freeDevice(memory_);
    memory_ = nullptr;
    size_ = 0;
    memory_ = allocateDevice(wanted + wanted / 4);
    size_ = wanted + wanted / 4;
    ++generation_;
  }
  return memory_;
}

}  // namespace ddsc::cuda
