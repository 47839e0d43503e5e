#include "cpu/context.h"
#include "cpu/memory.h"

namespace ddsc::cpu {

/// One growing block, on a cache line of its own: workers write theirs at the same time.
struct alignas(64) Scratch::Slot {
  void* memory = nullptr;
  std::size_t bytes = 0;

  Slot() = default;
  ~Slot() { releaseAligned(memory); }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

  void* atLeast(std::size_t wanted) {
    if (wanted > bytes) {
      // Old contents are not kept, so the old block goes first.
      releaseAligned(memory);
      memory = nullptr;
      bytes = 0;
      memory = allocateAligned(wanted);
      bytes = wanted;
    }
    return memory;
  }
};

Scratch::Scratch(int workers) : slots_(static_cast<std::size_t>(workers) + 1) {}
Scratch::~Scratch() = default;

void* Scratch::worker(int worker, std::size_t bytes) {
  return slots_[static_cast<std::size_t>(worker) + 1].atLeast(bytes);
}

void* Scratch::shared(std::size_t bytes) { return slots_[0].atLeast(bytes); }
std::size_t Scratch::bytes() const {
  std::size_t sum = 0;
  for (const Slot& slot : slots_) sum += slot.bytes;
  return sum;
}

}  // namespace ddsc::cpu
