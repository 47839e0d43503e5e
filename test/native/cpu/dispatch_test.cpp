// Which kernels a process gets, and why not others.
#include "cpu/dispatch.h"

#include "core/errors.h"
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("every instruction set of this machine passes its check and can be asked for by name") {
  for (const std::string& name : cpu::instructionSets()) {
    const cpu::InstructionSet set = cpu::chooseInstructionSet(name);
    checkEqual(set.name, name);
    checkEqual(set.note, std::string());
    check(cpu::linearAgrees(set.ops, cpu::chooseInstructionSet("generic").ops),
          name + " disagrees with generic");
  }
}

DDSC_TEST("an instruction set that does not exist is refused with those that do") {
  checkThrows<Error>([] { cpu::chooseInstructionSet("avx1024"); }, "this machine has: ");
  checkThrows<Error>([] { cpu::chooseInstructionSet("avx1024"); }, "generic");
}

DDSC_TEST("an instruction set with wrong linear layers gives way to the next and says so") {
  const cpu::InstructionSet good = cpu::chooseInstructionSet("generic");
  const auto withWrong = [&](auto&& replace) {
    cpu::InstructionSet set = good;
    set.name = "wrong";
    replace(set.ops);
    return cpu::checkedAgainst(set, good, good.ops);
  };
  const cpu::InstructionSet forward =
      withWrong([](cpu::OpTable& ops) { ops.runLinear = [](auto&, auto&) {}; });
  const cpu::InstructionSet input =
      withWrong([](cpu::OpTable& ops) { ops.runLinearInputGradient = [](auto&, auto&) {}; });
  const cpu::InstructionSet weight =
      withWrong([](cpu::OpTable& ops) { ops.runLinearWeightGradient = [](auto&, auto&) {}; });
  for (const cpu::InstructionSet& chosen : {forward, input, weight}) {
    checkEqual(chosen.name, std::string("generic"));
    checkEqual(chosen.note, std::string("wrong gave wrong results in a check and is not used"));
  }
  const cpu::InstructionSet kept = withWrong([](cpu::OpTable&) {});
  checkEqual(kept.name, std::string("wrong"));
}

DDSC_TEST("a backend says which instruction set it runs on") {
  for (const std::string& name : cpu::instructionSets())
    checkEqual(cpu::makeCpuBackend(name, 1)->describe(), "cpu (" + name + ", 1 thread)");
}

}  // namespace
}  // namespace ddsc::test
