#include "cuda/errors.h"

#include <atomic>
#include <cstring>

#include "cuda/runtime.h"

namespace ddsc::cuda {
namespace {

/// The first loss; null while all is well. Never freed: errors outlive everything.
std::atomic<const char*> lostBecause{nullptr};

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1u << 19)) >> 20) + " MiB"; }

}  // namespace

Error outOfMemory(std::size_t wanted, std::size_t held) {
  const MemoryState state = deviceMemory();
  std::string text = "the GPU has no " + mebibytes(wanted) + " for this call: " + mebibytes(state.freeBytes) +
                     " of " + mebibytes(state.totalBytes) + " are free";
  if (held > 0) text += ", and this model holds " + mebibytes(held);
  return Error("CUDA_OUT_OF_MEMORY",
               text + "; use a smaller batch, recompute activations (--recompute), bf16 or device cpu");
}

void markDeviceLost(const std::string& why) {
  auto* kept = new char[why.size() + 1];
  std::memcpy(kept, why.c_str(), why.size() + 1);
  const char* expected = nullptr;
  if (!lostBecause.compare_exchange_strong(expected, kept)) delete[] kept;
}

void throwIfDeviceLost() {
  if (const char* why = lostBecause.load(std::memory_order_acquire)) {
    throw Error("CUDA_DEVICE_LOST", std::string("the GPU failed earlier (") + why +
                                        "): results can no longer be trusted; start the process again");
  }
}

}  // namespace ddsc::cuda
