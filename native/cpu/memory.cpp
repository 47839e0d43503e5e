#include "cpu/memory.h"

#include <cstdint>
#include <cstdlib>
#include <string>

#if defined(__linux__)
#include <malloc.h>
#include <sys/mman.h>
#elif defined(__APPLE__)
#include <malloc/malloc.h>
#endif

#include "core/errors.h"

namespace ddsc::cpu {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void* allocateAligned(std::size_t bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kLine;
  void* memory = nullptr;
  if (bytes <= SIZE_MAX - alignment) {
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  }
  if (memory == nullptr) {
    throw Error("OUT_OF_MEMORY", "cannot allocate " + std::to_string(bytes) +
                                     " bytes; use a smaller batch, shorter cells or a smaller preset");
  }
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  // Advice only: small pages do as well, with more misses of the address cache.
  if (alignment == kHugePage) static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
#endif
  return memory;
}

void releaseAligned(void* memory) noexcept { std::free(memory); }

std::size_t alignedBytes(void* memory) noexcept {
#if defined(__APPLE__)
  return malloc_size(memory);
#else
  return malloc_usable_size(memory);
#endif
}

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
