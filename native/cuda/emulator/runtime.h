#pragma once
#include <functional>

#include "cuda/runtime.h"

namespace ddsc::cuda::emulator {

/// Work for the stream; like a GPU's it runs later, in `synchronize` at the latest.
void enqueue(Stream& stream, std::function<void()> work);

}  // namespace ddsc::cuda::emulator
