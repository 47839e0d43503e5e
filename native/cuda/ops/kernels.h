#pragma once
// Every op of the CUDA backend. Each puts its work on the context's stream and returns.

#include "cuda/context.h"

namespace ddsc::cuda {

#define DDSC_EACH(Op, name) void run(Context&, const Op&);
DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH

/// As Backend::measureLimits.
Limits measureLimits(Context&, int multiprocessors);

}  // namespace ddsc::cuda
