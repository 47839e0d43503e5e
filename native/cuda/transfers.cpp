#include "cuda/transfers.h"

#include <algorithm>
#include <cstring>

namespace ddsc::cuda {
namespace {
constexpr std::size_t kSmallest = std::size_t{1} << 20, kAlignment = 64;
}

Uploads::~Uploads() {
  // A copy may still be reading; a lost device has nothing under way.
  try {
    stream_->synchronize();
  } catch (...) {
  }
  for (const Half& half : halves_) freePinned(half.memory);
}

void Uploads::turn() {
  stream_->record(halves_[filling_].left);
  filling_ = 1 - filling_;
  halves_[filling_].left.wait();
  used_ = 0;
}

void Uploads::upload(void* to, const void* fromHost, std::size_t bytes) {
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

Downloads::~Downloads() {
  // A copy may still be writing; a lost device has nothing under way.
  try {
    stream_->synchronize();
  } catch (...) {
  }
  for (const Landing& landing : landings_) freePinned(landing.memory);
}

std::byte* Downloads::land(std::size_t bytes) {
  if (landings_.empty() || landings_.back().bytes - used_ < bytes) {
    const std::size_t size = std::max({bytes, kSmallest, landings_.empty() ? 0 : 2 * landings_.back().bytes});
    landings_.push_back({static_cast<std::byte*>(allocatePinned(size)), size});
    used_ = 0;
  }
  std::byte* const memory = landings_.back().memory + used_;
  used_ = std::min((used_ + bytes + kAlignment - 1) / kAlignment * kAlignment, landings_.back().bytes);
  return memory;
}

void Downloads::begin(void* toHost, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  std::byte* const landed = land(bytes);
  stream_->copyToHost(landed, from, bytes);
  pending_.push_back({marks_->next(), toHost, landed, bytes});
}

void Downloads::waitFor(Mark mark) {
  try {
    marks_->waitFor(mark);
  } catch (...) {
    pending_.clear();
    throw;
  }
  const auto isLater = [mark](const Download& download) { return download.mark > mark; };
  const auto end = std::find_if(pending_.begin(), pending_.end(), isLater);
  for (auto download = pending_.begin(); download != end; ++download)
    std::memcpy(download->toHost, download->landed, download->bytes);
  pending_.erase(pending_.begin(), end);
  if (!pending_.empty()) return;
  // All have left: the largest piece serves from now on.
  while (landings_.size() > 1) {
    freePinned(landings_.front().memory);
    landings_.erase(landings_.begin());
  }
  used_ = 0;
}

}  // namespace ddsc::cuda
