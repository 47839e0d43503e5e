#include "cpu/dispatch.h"

#include <algorithm>
#include <cstdlib>

#include "core/errors.h"
#include "cpu/cpu_backend.h"
#include "cpu/processor.h"

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
// These two replace what they do better in the table of avx512.
namespace avx512_bf16 {
void extend(OpTable&);
}
namespace amx {
void extend(OpTable&);
}
#elif defined(__aarch64__)
namespace neon {
extern const OpTable opTable;
}
#endif

namespace {

std::vector<InstructionSet>& added() {
  static std::vector<InstructionSet> sets;
  return sets;
}

#if defined(__x86_64__)
OpTable extended(void (*extend)(OpTable&)) {
  OpTable table = avx512::opTable;
  extend(table);
  return table;
}

/// The processor's features do not change; its permission to use tiles is asked for once.
bool mayUseAmx() {
  static const bool may = hasAmx();
  return may;
}
#endif

/// Best first; those this machine and its operating system can run.
std::vector<InstructionSet> usable() {
  std::vector<InstructionSet> sets;
#if defined(__x86_64__)
  if (mayUseAmx()) sets.push_back({"amx", extended(amx::extend)});
  const InstructionSet pairs{"avx512_bf16", extended(avx512_bf16::extend)};
  if (multipliesPairsFast()) sets.push_back(pairs);
  if (hasAvx512()) sets.push_back({"avx512", avx512::opTable});
  if (hasAvx512Bf16() && !multipliesPairsFast()) sets.push_back(pairs);
  if (hasAvx2()) sets.push_back({"avx2", avx2::opTable});
#elif defined(__aarch64__)
  sets.push_back({"neon", neon::opTable});
#endif
  sets.push_back({"generic", generic::opTable});
  sets.insert(sets.end(), added().begin(), added().end());
  return sets;
}

/// Tiles have been switched off, trapped and emulated by hosts of virtual machines: they are tried once
/// before they are relied upon.
InstructionSet trusted(const InstructionSet& set, const InstructionSet& next) {
#if defined(__x86_64__)
  if (set.name == "amx") {
    static const InstructionSet checked = checkedAgainst(set, next, avx512::opTable);
    return checked;
  }
#endif
  static_cast<void>(next);
  return set;
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
  std::string available;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (name.empty() || name == sets[i].name) return trusted(sets[i], sets[std::min(i + 1, sets.size() - 1)]);
    available += (available.empty() ? "" : ", ") + sets[i].name;
  }
  throw Error("DEVICE_ISA", "instruction set '" + name +
                                "' (DDSC_ISA) is not available here; this machine has: " + available);
}

void addInstructionSet(const InstructionSet& set) {
  for (const InstructionSet& known : added())
    if (known.name == set.name) return;
  added().push_back(set);
}

}  // namespace ddsc::cpu
