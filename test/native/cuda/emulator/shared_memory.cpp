#include "test/native/cuda/emulator/shared_memory.h"

#include <stdexcept>
#include <string>

namespace ddsc::cuda::emulator {
namespace {

constexpr std::size_t kAlignment = 1024;

std::int32_t warpOf(std::int32_t thread) { return thread / 32; }

/// Whether what `then` did is over, and seen, for `now`.
bool ordered(const Moment& then, const Moment& now) {
  return then.thread == now.thread || then.block < now.block ||
         (warpOf(then.thread) == warpOf(now.thread) && then.warp < now.warp);
}

[[noreturn]] void fault(const char* what, std::size_t offset, std::int32_t other = -1) {
  std::string text = std::string(what) + " at byte " + std::to_string(offset) + " of shared memory";
  if (other >= 0) text += " (thread " + std::to_string(other) + ")";
  throw std::runtime_error(text);
}

}  // namespace

void SharedMemory::begin(std::size_t bytes, std::uint32_t first) {
  if (storage_.size() < bytes + kAlignment) storage_.resize(bytes + kAlignment);
  const auto start = reinterpret_cast<std::uintptr_t>(storage_.data());
  memory_ = storage_.data() + ((start + kAlignment - 1) / kAlignment * kAlignment - start);
  size_ = bytes;
  first_ = first;
  // Cells keep what earlier blocks did; being before `first`, it counts for nothing.
  if (cells_.size() < (bytes + kGranule - 1) / kGranule) cells_.resize((bytes + kGranule - 1) / kGranule);
}

std::size_t SharedMemory::place(std::size_t offset, std::size_t bytes, std::size_t alignment) const {
  if (offset > size_ || bytes > size_ - offset)
    throw std::runtime_error("access to byte " + std::to_string(static_cast<std::int64_t>(offset)) + " of " +
                             std::to_string(size_) + " bytes of shared memory");
  if (offset % alignment != 0) fault("misaligned access", offset);
  return offset;
}

template <class Body>
void SharedMemory::forEach(std::size_t offset, std::size_t bytes, const Body& body) {
  for (std::size_t at = offset / kGranule; at * kGranule < offset + bytes; ++at) {
    Cell& cell = cells_[at];
    if (cell.writer.block < first_) cell.writer = {kNobody, 0, 0}, cell.copying = false;
    if (cell.reader.block < first_) cell.reader = {kNobody, 0, 0};
    body(cell, at * kGranule);
  }
}

void SharedMemory::checkNotRead(const Cell& cell, const Moment& now) const {
  const Moment& reader = cell.reader;
  if (reader.thread == kNobody || reader.block < now.block) return;
  if (reader.thread >= 0) {
    if (ordered(reader, now)) return;
  } else if (reader.thread != kSeveral) {
    if (-3 - reader.thread == warpOf(now.thread) && reader.warp < now.warp) return;
  }
  throw std::runtime_error("write over shared memory that another thread has read since the last barrier");
}

void SharedMemory::readSlowly(const Moment& now, std::size_t offset, std::size_t bytes) {
  forEach(offset, bytes, [&](Cell& cell, std::size_t at) {
    if (cell.copying) fault("read of an asynchronous copy that was not waited for", at);
    if (cell.writer.thread == kNobody) fault("read of what nobody wrote", at);
    if (!ordered(cell.writer, now))
      fault("read of what another thread wrote since the last barrier", at, cell.writer.thread);
    Moment& reader = cell.reader;
    if (reader.thread == kNobody || reader.block < now.block) {
      reader = now;
    } else if (reader.thread != now.thread) {
      const std::int32_t warp = reader.thread >= 0 ? warpOf(reader.thread) : -3 - reader.thread;
      const bool same = reader.thread != kSeveral && warp == warpOf(now.thread);
      reader = {same ? -3 - warp : kSeveral, now.block, now.warp};
    } else {
      reader = now;
    }
  });
}

void SharedMemory::write(const Moment& now, std::size_t offset, std::size_t bytes) {
  forEach(offset, bytes, [&](Cell& cell, std::size_t at) {
    if (cell.copying) fault("write into an asynchronous copy that was not waited for", at);
    if (cell.writer.thread != kNobody && !ordered(cell.writer, now))
      fault("write over what another thread wrote since the last barrier", at, cell.writer.thread);
    checkNotRead(cell, now);
    cell.writer = now;
    cell.reader = {kNobody, 0, 0};
  });
}

void SharedMemory::copyBegins(const Moment& now, const void* address, std::size_t bytes) {
  const std::size_t offset = place(offsetOf(address), bytes, bytes);
  write(now, offset, bytes);
  forEach(offset, bytes, [](Cell& cell, std::size_t) { cell.copying = true; });
}

void SharedMemory::copyLands(const Moment& now, const void* address, std::size_t bytes) {
  const std::size_t offset = offsetOf(address);
  forEach(offset, bytes, [&](Cell& cell, std::size_t) {
    cell.copying = false;
    cell.writer = now;
  });
}

}  // namespace ddsc::cuda::emulator
