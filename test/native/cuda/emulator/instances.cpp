#include "test/native/cuda/emulator/instances.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <system_error>

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

/// The next of the flags, all false, in memory that forked processes share; it lasts as long as the process.
bool& nextFlag() {
  constexpr std::size_t kFlags = 4096;
  static std::size_t taken = 0;
  static bool* const flags = [] {
    void* memory = mmap(nullptr, kFlags, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    return static_cast<bool*>(memory);
  }();
  if (taken == kFlags) throw std::length_error("more kernels than flags");
  return flags[taken++];
}

}  // namespace

KernelInstance::KernelInstance(std::string_view function) : name(kernelIn(function)), ran(nextFlag()) {
  list().push_back(this);
}

const std::vector<const KernelInstance*>& kernelInstances() { return list(); }

}  // namespace ddsc::cuda::emulator
