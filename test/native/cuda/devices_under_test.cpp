// The op and model tests of this executable run on a CUDA device, emulated or real, instead of the CPU: this
// file takes the place of per_instruction_set.cpp.
#include "cuda/cuda_backend.h"
#include "test/native/cuda/mirror.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {

PerInstructionSet::PerInstructionSet(const std::string& name, const Body& body,
                                     std::initializer_list<DType> types, std::source_location where) {
  for (const DType type : types) {
    const Registration registration(
        name + (type == DType::f32 ? " (cuda, float)" : " (cuda, bf16)"),
        [body, type] { body(*mirrorOf(cuda::makeCudaBackend(0)), type); }, where);
  }
}

// A GPU has no threads to count; the emulator runs blocks one after the other.
void checkThreadsAgree(const std::function<std::vector<float>(Backend&)>&, std::source_location) {
  skip("for the CPU");
}

std::unique_ptr<Backend> backendUnderTest(int) { return cuda::makeCudaBackend(0); }
std::vector<int> threadsUnderTest() { return {1}; }

}  // namespace ddsc::test
