// What the CUDA backend promises beyond its ops.
#include "cuda/cuda_backend.h"

#include "test/harness.h"
#include "test/support.h"

namespace ddsc::test {
namespace {

DDSC_TEST("the device's limits are measured") {
  const Limits limits = cuda::makeCudaBackend(0)->measureLimits();
  check(limits.floatFlops > 0 && limits.bf16Flops > 0 && limits.bytes > 0, "a limit is 0");
}

}  // namespace
}  // namespace ddsc::test
