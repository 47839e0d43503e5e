#pragma once
// Packed copies of weights that are multiplied by again and again while they stay as they are: by every
// evaluation of a sampler, by every micro-batch of an accumulated step.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/views.h"

namespace ddsc::cpu {

/// A weight as a product reads it. Equal ones are packed alike.
struct WeightOperand {
  const void* data = nullptr;
  std::int64_t cols = 0, steps = 0, stride = 0;
  DType type = DType::f32;
  bool stepsContiguous = true;

  bool operator==(const WeightOperand&) const = default;
};

/// Keeps a packed copy from the second use of an operand on, so that a weight which changes after each use
/// costs no memory. All copies go when a use names another version than the one before it. Safe to call from
/// several threads; memory handed out stays until the next version, or until what it copies is forgotten.
class PackedWeights {
 public:
  PackedWeights();
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  /// Where the packed operand belongs.
  struct Place {
    void* memory = nullptr;  // 64-byte aligned; null: it is not kept
    bool packed = false;     // it is there already; otherwise the caller packs it there now
  };

  /// A use of an operand, `bytes` large when packed. `version`: names the contents of all weights; 0: not to
  /// be kept.
  Place use(const WeightOperand& operand, std::uint64_t version, std::size_t bytes);

  /// Drops the copies of operands that begin within the `size` bytes from `memory`, which are about to be
  /// given back.
  void forget(const void* memory, std::size_t size) noexcept;

  /// Memory of all copies.
  std::size_t bytes() const;

 private:
  struct Entry;

  mutable std::mutex mutex_;
  std::uint64_t version_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace ddsc::cpu
