#pragma once
// What this processor and its operating system let a process use beyond what the compiler can ask for itself.

namespace ddsc::cpu {

/// AVX-512 with all that the avx512 kernels use (F, BW, VL, DQ, and AVX2 with FMA), and the system saves its
/// registers.
bool hasAvx512();
bool hasAvx2();
/// AVX512-BF16 on top of AVX-512.
bool hasAvx512Bf16();
/// Whether AVX512-BF16 is worth more than widening bf16 for float32 multiply-adds. AMD's multiplies a vector
/// of pairs in the time of one float32 vector; Intel's loses (5th generation Xeon: pairs peak at 86 GFLOP/s a
/// core, float32 at 170 to 190).
bool multipliesPairsFast();
/// AMX with bf16 on top of AVX-512: the processor has it, the system saves the tiles, and this process may
/// use them. On Linux that takes a permission, asked for here; it holds for all threads of the process.
bool hasAmx();

}  // namespace ddsc::cpu
