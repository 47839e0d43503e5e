#pragma once
#include <string>
#include <vector>

namespace ddsc::test {

/// The instruction sets that tests run on: this machine's, and where it has AVX-512 "amx_emulated", the
/// kernels for AMX on emulated tiles. DDSC_ISA may name that one too.
std::vector<std::string> instructionSets();

}  // namespace ddsc::test
