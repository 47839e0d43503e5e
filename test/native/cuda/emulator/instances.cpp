#include "test/native/cuda/emulator/instances.h"

namespace ddsc::cuda::emulator {
namespace {

std::vector<const KernelInstance*>& list() {
  static std::vector<const KernelInstance*> instances;
  return instances;
}

/// GCC writes "... [with auto kernel = NAME; ...]", Clang "... [kernel = &NAME]".
std::string kernelIn(std::string_view function) {
  constexpr std::string_view kBefore = "kernel = ";
  std::string_view name = function.substr(function.find(kBefore) + kBefore.size());
  name = name.substr(0, name.find_last_of(']'));
  return std::string(name.substr(0, name.find(';')));
}

}  // namespace

KernelInstance::KernelInstance(std::string_view function) : name(kernelIn(function)) {
  list().push_back(this);
}

const std::vector<const KernelInstance*>& kernelInstances() { return list(); }

}  // namespace ddsc::cuda::emulator
