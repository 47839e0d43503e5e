#pragma once
// NVIDIA's NCCL without its header: sums on GPUs, by a library that is found at run time.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/errors.h"
#include "core/views.h"
#include "ops/backend.h"

namespace ddsc::cluster {

/// What NCCL of one rank tells the others, by which they find it.
using NcclId = std::array<std::uint8_t, 128>;

/// The library: its functions, by what NVIDIA documents of them.
struct NcclFunctions;

/// NCCL as it was found.
class NcclLibrary {
 public:
  /// The first of the names that loads and is new enough (2.14, which can be waited for without blocking).
  /// Throws Error CLUSTER_NCCL with what each of them lacks.
  explicit NcclLibrary(const std::vector<std::string>& names);
  ~NcclLibrary();

  const std::string& file() const { return file_; }
  /// "2.21.5".
  const std::string& version() const { return version_; }
  /// Made by one rank, for all. Throws Error CLUSTER_NCCL.
  NcclId newId() const;
  const NcclFunctions& functions() const { return *functions_; }

 private:
  std::string start(const std::string& name);

  std::unique_ptr<NcclFunctions> functions_;
  std::string file_, version_;
};

/// The ranks of a job, one GPU each. Nothing blocks: every wait calls `check`, which throws where it is to be
/// given up. Calls must not overlap, but for `giveUp`.
class Nccl {
 public:
  using Check = std::function<void()>;

  /// Joins with all others, on the device that is current; waits for them. Throws Error CLUSTER_NCCL with the
  /// library's words, and what `check` throws.
  Nccl(std::shared_ptr<const NcclLibrary> library, const NcclId& id, int rank, int size, const Check& check);
  /// Gives up what is under way.
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  /// Begins to replace values in the backend's memory by their sums over all ranks, in float32, once all is
  /// done that the backend was given so far, and beside what it is given later, which must leave them alone
  /// up to `finish`. Any number may be under way, in the same order on all ranks. Throws Error CLUSTER_NCCL,
  /// and what `check` throws: then nothing more can be summed.
  void startSum(Backend& backend, Span<float> values, const Check& check);

  /// Begins to replace values in the backend's memory by those of one rank, likewise.
  void startBroadcast(Backend& backend, Span<float> values, int root, const Check& check);

  /// Waits until all that was begun is there, for what the backend is given from now on, too. Throws
  /// likewise.
  void finish(Backend& backend, const Check& check);

  /// Gives up what is under way, from any thread: the device waits for peers no more. Later calls throw.
  void giveUp() noexcept;

  /// Leaves, once what is under way is done.
  void leave(const Check& check);

 private:
  /// Waits until `call`, which gave this result, has put its work on the device; gives all up where it fails.
  void begin(int result, const char* call, const Check& check);
  void settle(int result, const char* call, const Check& check);
  /// The result of a function of the library, which nobody gives up meanwhile. Throws where it was given up.
  template <class Function>
  int ask(const Function& function) const {
    const std::lock_guard lock(mutex_);
    require(communicator_ != nullptr, "CLUSTER_NCCL", "NCCL was given up after an earlier error");
    return function(communicator_);
  }
  void pollErrors(const char* call) const;
  int asyncResult() const;
  [[noreturn]] void fail(int result, const char* call) const;

  std::shared_ptr<const NcclLibrary> library_;
  mutable std::mutex mutex_;
  void* communicator_ = nullptr;
  const char* begun_ = "";  // the last call that put work on the device
};

}  // namespace ddsc::cluster
