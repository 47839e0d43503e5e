#pragma once
// Every instance of a kernel that a program could launch, and whether it has run: so that tests can tell that
// none was left out. Test-only.

#include <string>
#include <string_view>
#include <vector>

namespace ddsc::cuda::emulator {

struct KernelInstance {
  explicit KernelInstance(std::string_view function);
  KernelInstance(const KernelInstance&) = delete;
  KernelInstance& operator=(const KernelInstance&) = delete;

  std::string name;
  bool&
      ran;  // a grid of it, to the end; shared with processes that are forked, of which each runs some tests
};

/// All of the program, in no particular order.
const std::vector<const KernelInstance*>& kernelInstances();

/// A function whose text names the kernel.
template <auto kernel>
std::string_view functionNaming() {
  return __PRETTY_FUNCTION__;
}

/// Exists, from the program's start, for each kernel that is an argument of `launch` anywhere.
template <auto kernel>
inline KernelInstance instanceOf{functionNaming<kernel>()};

}  // namespace ddsc::cuda::emulator
