#pragma once
// Threads of a block, taken in turns on one host thread: a stack of their own and a switch that saves what
// the calling convention asks for. Test-only.

#include <cstddef>
#include <functional>
#include <memory>

namespace ddsc::cuda::emulator {

/// A function on a stack of its own. `resume` runs it until it calls `pause` or returns; both on one host
/// thread. What the function throws ends the fiber and is thrown again by `resume`. A fiber that is dropped
/// half-way is not unwound: its frames may own nothing.
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Readies the fiber to run `body` from its start, on the stack it has.
  void start(std::function<void()> body);
  void resume();
  /// Called by the running fiber: back to `resume`'s caller.
  static void pause();
  bool finished() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ddsc::cuda::emulator
