#include "test/native/instruction_sets.h"

#include "cpu/cpu_backend.h"
#include "cpu/dispatch.h"
#include "cpu/processor.h"

#if defined(__x86_64__)
namespace ddsc::cpu::amx_emulated {
void extend(OpTable&);
}
#endif

namespace ddsc::test {

std::vector<std::string> instructionSets() {
#if defined(__x86_64__)
  if (cpu::hasAvx512()) {
    cpu::OpTable table = cpu::chooseInstructionSet("avx512").ops;
    cpu::amx_emulated::extend(table);
    cpu::addInstructionSet({"amx_emulated", table});
  }
#endif
  return cpu::instructionSets();
}

}  // namespace ddsc::test
