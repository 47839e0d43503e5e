// What the op and model tests run on: the CPU's instruction sets. (cuda/devices_under_test.cpp takes this
// file's place where they run on a GPU.)
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/instruction_sets.h"
#include "test/native/support.h"

namespace ddsc::test {

PerInstructionSet::PerInstructionSet(const std::string& name, const Body& body,
                                     std::initializer_list<DType> types, std::source_location where) {
  const std::vector<DType> wanted = types;
  for (const std::string& instructionSet : instructionSets()) {
    for (const DType type : wanted) {
      const std::string suffix = " (" + instructionSet + (type == DType::f32 ? ", float)" : ", bf16)");
      const Registration registration(
          name + suffix,
          [instructionSet, body, type] {
            const auto backend = cpu::makeCpuBackend(instructionSet, 2);
            body(*backend, type);
          },
          where);
    }
  }
}

void checkThreadsAgree(const std::function<std::vector<float>(Backend&)>& compute,
                       std::source_location where) {
  for (const std::string& instructionSet : instructionSets()) {
    std::vector<float> alone;
    for (const int threads : threadsUnderTest()) {
      const std::vector<float> result = compute(*cpu::makeCpuBackend(instructionSet, threads));
      if (threads == 1) {
        alone = result;
      } else {
        checkSameBits(result, alone, where);
      }
    }
  }
}

std::unique_ptr<Backend> backendUnderTest(int threads) { return cpu::makeCpuBackend("", threads); }
std::vector<int> threadsUnderTest() { return {1, 2, 3, 5}; }

}  // namespace ddsc::test
