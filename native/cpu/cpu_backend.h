#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cpu/thread_pool.h"
#include "ops/backend.h"

namespace ddsc::cpu {

/// Instruction sets compiled in and usable on this machine, best first, of (x86-64) "amx", "avx512_bf16"
/// (after "avx512" where that multiplies faster), "avx512", "avx2", "generic".
std::vector<std::string> instructionSets();

/// The CPU backend for an instruction set ("" : DDSC_ISA from the environment, else the best). Throws Error
/// DEVICE_ISA when it is unknown or this machine lacks it. `threads`: 0 means DDSC_THREADS from the
/// environment, else every processor the process may run on.
std::unique_ptr<Backend> makeCpuBackend(const std::string& instructionSet = "", int threads = 0);

}  // namespace ddsc::cpu
