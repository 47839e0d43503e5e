#pragma once
// The ops of one instruction set. Files in cpu/ops/ are compiled once for each, with DDSC_ISA its name;
// everything they define lives in namespace ddsc::cpu::DDSC_ISA or is local to the file, so that code built
// for one processor is never linked into another's path (checked by scripts/check-isa-symbols). Hence no
// std:: containers or algorithms here.

#include "cpu/context.h"

#ifndef DDSC_ISA
#define DDSC_ISA generic  // for editors and single-file checks
#endif

namespace ddsc::cpu::DDSC_ISA {

#define DDSC_EACH(Op, name) void run(Context&, const Op&);
DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH

}  // namespace ddsc::cpu::DDSC_ISA
