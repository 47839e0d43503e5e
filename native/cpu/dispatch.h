#pragma once
#include <string>

#include "cpu/context.h"

namespace ddsc::cpu {

/// The kernels chosen for this process.
struct InstructionSet {
  const char* name;
  const OpTable* ops;
};

/// As makeCpuBackend describes: `wanted`, else DDSC_ISA, else the best. Throws Error DEVICE_ISA.
InstructionSet chooseInstructionSet(const std::string& wanted);

}  // namespace ddsc::cpu
