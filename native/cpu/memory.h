#pragma once
#include <cstddef>
#include <vector>

namespace ddsc::cpu {

/// Uninitialised memory, 64-byte aligned, in huge pages where it is large; throws Error OUT_OF_MEMORY with
/// the size.
void* allocateAligned(std::size_t bytes);
void releaseAligned(void* memory) noexcept;

/// Size of a block of allocateAligned's: what was asked for or a little more; 0 for null.
std::size_t alignedBytes(void* memory) noexcept;

/// 64-byte aligned scratch that grows and is kept: no allocation in the hot path once warm. Slot `worker`
/// belongs to a worker while its task runs; `shared` to the op that is running. Contents do not survive the
/// op.
class Scratch {
 public:
  explicit Scratch(int workers);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// At least `bytes`, private to the worker until its next call here.
  void* worker(int worker, std::size_t bytes);
  /// At least `bytes`, for the calling op until its next call here; call before going parallel.
  void* shared(std::size_t bytes);
  /// Held by all slots; not while an op is running.
  std::size_t bytes() const;

 private:
  struct Slot;
  std::vector<Slot> slots_;
};

}  // namespace ddsc::cpu
