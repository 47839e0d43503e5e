#pragma once
#include <string>
#include <vector>

#include "cpu/context.h"

namespace ddsc::cpu {

/// Kernels a process can run.
struct InstructionSet {
  std::string name;
  OpTable ops;
  std::string note = {};  // why it is not the one that was asked for; empty if it is
};

/// As makeCpuBackend describes: `wanted`, else DDSC_ISA, else the best. Throws Error DEVICE_ISA.
InstructionSet chooseInstructionSet(const std::string& wanted);

/// For tests: offers a further set, the last choice of all, under its own name. Adding a name again does
/// nothing.
void addInstructionSet(const InstructionSet& set);

}  // namespace ddsc::cpu
