#pragma once
#include "cpu/dispatch.h"

namespace ddsc::cpu {

/// Whether the linear layers of two sets give the same on small products of bf16 with uneven edges: forward,
/// both gradients, within float32 rounding. Takes some ten microseconds, on the calling thread.
bool linearAgrees(const OpTable& ops, const OpTable& reference);

/// `set`, or where its linear layers do not agree with `reference` the set `next`, with a note that says so.
InstructionSet checkedAgainst(const InstructionSet& set, const InstructionSet& next,
                              const OpTable& reference);

}  // namespace ddsc::cpu
