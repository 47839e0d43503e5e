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

/// Whether the linear layers of two sets give the same on small products of bf16 with uneven edges: forward,
/// both gradients, within float32 rounding. Takes some ten microseconds, on the calling thread.
bool linearAgrees(const OpTable& ops, const OpTable& reference);

/// `set`, or where its linear layers do not agree with `reference` the set `next`, with a note that says so.
InstructionSet checkedAgainst(const InstructionSet& set, const InstructionSet& next,
                              const OpTable& reference);

}  // namespace ddsc::cpu
