#include "cpu/packed_weights.h"

#include <utility>

#include "core/errors.h"
#include "cpu/memory.h"

namespace ddsc::cpu {

namespace {

struct Released {
  void operator()(void* memory) const noexcept { releaseAligned(memory); }
};

}  // namespace

/// An operand that has been used; from its second use on with a copy, unless there was no memory for one.
struct PackedWeights::Entry {
  WeightOperand operand;
  std::unique_ptr<void, Released> copy;
  std::size_t bytes = 0;
};

PackedWeights::PackedWeights() = default;
PackedWeights::~PackedWeights() = default;

PackedWeights::Place PackedWeights::use(const WeightOperand& operand, std::uint64_t version,
                                        std::size_t bytes) {
  if (version == 0) return {};
  const std::lock_guard lock(mutex_);
  if (version != version_) {
    entries_.clear();
    version_ = version;
  }
  for (Entry& entry : entries_) {
    if (!(entry.operand == operand)) continue;
    if (entry.copy) return {entry.copy.get(), true};
    try {
      entry.copy.reset(allocateAligned(bytes));
    } catch (const Error&) {
      return {};  // it goes on being packed anew
    }
    entry.bytes = bytes;
    return {entry.copy.get(), false};
  }
  entries_.push_back({operand, {}, 0});
  return {};
}

void PackedWeights::forget(const void* memory, std::size_t size) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) {
    return reinterpret_cast<std::uintptr_t>(entry.operand.data) - begin < size;
  });
}

std::size_t PackedWeights::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t total = 0;
  for (const Entry& entry : entries_) total += entry.bytes;
  return total;
}

}  // namespace ddsc::cpu
