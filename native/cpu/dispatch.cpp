#include "cpu/dispatch.h"

#include <cstdlib>

#include "core/errors.h"
#include "cpu/cpu_backend.h"

namespace ddsc::cpu {

namespace generic {
extern const OpTable opTable;
}
#if defined(__x86_64__)
namespace avx2 {
extern const OpTable opTable;
}
namespace avx512 {
extern const OpTable opTable;
}
#endif

namespace {

/// Best first; those this machine and its operating system (which must save the wide registers) can run.
std::vector<InstructionSet> usable() {
  std::vector<InstructionSet> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool hasAvx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool hasAvx512 = hasAvx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (hasAvx512) sets.push_back({"avx512", &avx512::opTable});
  if (hasAvx2) sets.push_back({"avx2", &avx2::opTable});
#endif
  sets.push_back({"generic", &generic::opTable});
  return sets;
}

}  // namespace

std::vector<std::string> instructionSets() {
  std::vector<std::string> names;
  for (const InstructionSet& set : usable()) names.emplace_back(set.name);
  return names;
}

InstructionSet chooseInstructionSet(const std::string& wanted) {
  const char* fromEnvironment = std::getenv("DDSC_ISA");
  const std::string name = !wanted.empty() || fromEnvironment == nullptr ? wanted : fromEnvironment;
  const std::vector<InstructionSet> sets = usable();
  if (name.empty()) return sets.front();
  std::string available;
  for (const InstructionSet& set : sets) {
    if (name == set.name) return set;
    available += std::string(available.empty() ? "" : ", ") + set.name;
  }
  throw Error("DEVICE_ISA", "instruction set '" + name +
                                "' (DDSC_ISA) is not available here; this machine has: " + available);
}

}  // namespace ddsc::cpu
