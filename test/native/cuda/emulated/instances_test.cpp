// What ships has run: every instance of every kernel.
#include "test/native/cuda/emulator/instances.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

const Registration everyInstance(
    "every instance of every CUDA kernel has run in these tests",
    [] {
      int known = 0;
      std::string missing;
      for (const cuda::emulator::KernelInstance* instance : cuda::emulator::kernelInstances()) {
        if (!instance->name.starts_with("ddsc::cuda::")) continue;  // of these tests
        ++known;
        if (!instance->ran) missing += "\n      " + instance->name;
      }
      check(missing.empty(), "never run:" + missing);
      check(known > 40, "only " + std::to_string(known) + " kernels are known");
    },
    std::source_location::current(), Turn::last);

}  // namespace
}  // namespace ddsc::test
