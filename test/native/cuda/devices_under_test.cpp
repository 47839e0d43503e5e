// The op and model tests of this executable run on a CUDA device, emulated or real, instead of the CPU: this
// file takes the place of per_instruction_set.cpp.
#include <string_view>

#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#include "test/native/cuda/mirror.h"
#include "test/native/environment.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {

PerInstructionSet::PerInstructionSet(const std::string& name, const Body& body,
                                     std::initializer_list<DType> types, std::source_location where) {
  for (const DType type : types) {
    const Registration registration(
        name + (type == DType::f32 ? " (cuda, float)" : " (cuda, bf16)"),
        [body, type] { body(*mirrorOf(cuda::makeCudaBackend(0)), type); }, where);
    // Products once more by the kernels that a GPU has to be asked for.
    if (type == DType::f32 || !std::string_view(where.file_name()).ends_with("/linear_test.cpp")) continue;
    const Registration byGroups(
        name + " (cuda, hopper)",
        [body] {
          const Variable gemm("DDSC_GEMM", "hopper");
          const cuda::Gpu gpu = cuda::usableGpu(0);
          if (gpu.major != 9 || gpu.minor != 0) skip("for Hopper GPUs");
          body(*mirrorOf(cuda::makeCudaBackend(0)), DType::bf16);
        },
        where);
  }
}

// A GPU has no threads to count; the emulator runs blocks one after the other.
void checkThreadsAgree(const std::function<std::vector<float>(Backend&)>&, std::source_location) {
  skip("for the CPU");
}

std::unique_ptr<Backend> backendUnderTest(int) { return cuda::makeCudaBackend(0); }
std::vector<int> threadsUnderTest() { return {1}; }

}  // namespace ddsc::test
