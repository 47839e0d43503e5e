#include "cuda/lost_device.h"

#include <atomic>
#include <cstring>

#include "core/errors.h"

namespace ddsc::cuda {
namespace {

/// The first loss; null while all is well. Never freed: errors outlive everything.
std::atomic<const char*> lostBecause{nullptr};

}  // namespace

void rememberLoss(const std::string& why) {
  auto* kept = new char[why.size() + 1];
  std::memcpy(kept, why.c_str(), why.size() + 1);
  const char* expected = nullptr;
  if (!lostBecause.compare_exchange_strong(expected, kept)) delete[] kept;
}

void throwIfLost() {
  if (const char* why = lostBecause.load(std::memory_order_acquire)) {
    throw Error("CUDA_DEVICE_LOST", std::string("the GPU failed earlier (") + why +
                                        "): results can no longer be trusted; start the process again");
  }
}

}  // namespace ddsc::cuda
