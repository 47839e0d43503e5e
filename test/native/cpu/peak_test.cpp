// What a backend says of its limits.
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("a backend measures what it can compute and move a second") {
  const Limits limits = cpu::makeCpuBackend("", 1)->measureLimits();
  // No machine that this runs on is slower, under a sanitizer or not; none reaches a thousand times as much.
  check(limits.floatFlops > 1e7 && limits.floatFlops < 1e15, "float32 operations a second");
  check(limits.bf16Flops > 1e7 && limits.bf16Flops < 1e16, "bf16 operations a second");
  check(limits.bytes > 1e7 && limits.bytes < 1e14, "bytes a second");
}

}  // namespace
}  // namespace ddsc::test
