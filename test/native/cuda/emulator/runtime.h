#pragma once
#include <functional>

#include "cuda/runtime.h"

namespace ddsc::cuda::emulator {

/// Work for the stream; like a GPU's it runs later, when something waits for it at the latest.
void enqueue(Stream& stream, std::function<void()> work);

/// What the host did since the program's start that a GPU makes it wait for, and what it did with graphs.
struct Counts {
  int waits = 0;        // for work that was not done yet
  int allocations = 0;  // and frees, of device or page-locked memory
  int recordings = 0, replays = 0;
  int copiesBeside = 0;  // to the device, done while another stream had kernels to run
};
Counts counts();

/// While one exists, a stream on which nothing but copies is waiting runs as far as events let it, in place
/// of as late as it may: what orders a copy after the work that reads what it overwrites is then put to the
/// test.
class EarlyCopies {
 public:
  EarlyCopies();
  ~EarlyCopies();
  EarlyCopies(const EarlyCopies&) = delete;
  EarlyCopies& operator=(const EarlyCopies&) = delete;
};

}  // namespace ddsc::cuda::emulator
