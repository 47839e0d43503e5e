#pragma once
#include <atomic>
#include <functional>
#include <memory>

namespace ddsc::cuda::emulator {

/// What the handle of a stream points to: the way in for a library that is loaded while the program runs, and
/// so cannot call functions of it by name.
class StreamHandle {
 public:
  /// Work that runs in the stream's turn.
  virtual void enqueue(std::function<void()> work) = 0;
  /// Runs all that waits, as a device does that nobody waits for.
  virtual void catchUp() = 0;
  /// While it is above 0 the stream is not done: what a library has yet to put there. It may outlive the
  /// stream.
  virtual std::shared_ptr<std::atomic<int>> holds() = 0;

 protected:
  ~StreamHandle() = default;
};

}  // namespace ddsc::cuda::emulator
