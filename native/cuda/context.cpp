#include "cuda/context.h"

namespace ddsc::cuda {

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
