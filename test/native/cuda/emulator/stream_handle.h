#pragma once
#include <functional>

namespace ddsc::cuda::emulator {

/// What the handle of a stream points to: the way in for a library that is loaded while the program runs, and
/// so cannot call functions of it by name.
class StreamHandle {
 public:
  /// Work that runs in the stream's turn.
  virtual void enqueue(std::function<void()> work) = 0;
  /// Runs all that waits, as a device does that nobody waits for.
  virtual void catchUp() = 0;
  /// Between these the stream is not done: what a library has yet to put there.
  virtual void hold() = 0;
  virtual void release() = 0;

 protected:
  ~StreamHandle() = default;
};

}  // namespace ddsc::cuda::emulator
