#include "cuda/arrivals.h"

#include <algorithm>
#include <cstring>

namespace ddsc::cuda {
namespace {
constexpr std::size_t kSmallest = std::size_t{1} << 20, kAlignment = 64;
}

Arrivals::~Arrivals() {
  // A copy may still be writing; a lost device has nothing under way.
  try {
    stream_->synchronize();
  } catch (...) {
  }
  for (const Landing& landing : landings_) freePinned(landing.memory);
}

std::byte* Arrivals::land(std::size_t bytes) {
  if (landings_.empty() || landings_.back().bytes - used_ < bytes) {
    const std::size_t size = std::max({bytes, kSmallest, landings_.empty() ? 0 : 2 * landings_.back().bytes});
    landings_.push_back({static_cast<std::byte*>(allocatePinned(size)), size});
    used_ = 0;
  }
  std::byte* const memory = landings_.back().memory + used_;
  used_ = std::min((used_ + bytes + kAlignment - 1) / kAlignment * kAlignment, landings_.back().bytes);
  return memory;
}

void Arrivals::fetch(void* toHost, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  std::byte* const landed = land(bytes);
  stream_->copyToHost(landed, from, bytes);
  underWay_.push_back({timeline_->next(), toHost, landed, bytes});
}

void Arrivals::waitFor(Mark mark) {
  try {
    timeline_->waitFor(mark);
  } catch (...) {
    underWay_.clear();
    throw;
  }
  const auto isLater = [mark](const Arrival& arrival) { return arrival.mark > mark; };
  const auto end = std::find_if(underWay_.begin(), underWay_.end(), isLater);
  for (auto arrival = underWay_.begin(); arrival != end; ++arrival)
    std::memcpy(arrival->toHost, arrival->landed, arrival->bytes);
  underWay_.erase(underWay_.begin(), end);
  if (!underWay_.empty()) return;
  // All have left: the largest piece serves from now on.
  while (landings_.size() > 1) {
    freePinned(landings_.front().memory);
    landings_.erase(landings_.begin());
  }
  used_ = 0;
}

}  // namespace ddsc::cuda
