#include "cpu/processor.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace ddsc::cpu {

#if defined(__x86_64__)

namespace {

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// CPUID; zeros where the processor does not know the leaf.
Leaf cpuid(unsigned leaf, unsigned subleaf) {
  Leaf result;
  __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
  return result;
}

bool hasBit(unsigned word, int bit) { return (word >> bit & 1u) != 0; }

/// Whether the system saves the tiles' configuration and data when it switches threads.
bool systemSavesTiles() {
  constexpr int osxsave = 27, tileConfiguration = 17, tileData = 18;
  if (!hasBit(cpuid(1, 0).ecx, osxsave)) return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return hasBit(low, tileConfiguration) && hasBit(low, tileData);
}

bool mayUseTiles() {
#if defined(__linux__)
  constexpr long requestPermission = 0x1023, tileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;  // no way to ask
#endif
}

}  // namespace

bool hasAvx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool hasAvx512Bf16() {
  constexpr int bf16 = 5;
  return hasAvx512() && hasBit(cpuid(7, 1).eax, bf16);
}

bool multipliesPairsFast() {
  const Leaf vendor = cpuid(0, 0);
  constexpr unsigned auth = 0x68747541, enti = 0x69746E65, cAmd = 0x444D4163;  // "AuthenticAMD"
  return hasAvx512Bf16() && vendor.ebx == auth && vendor.edx == enti && vendor.ecx == cAmd;
}

bool hasAmx() {
  constexpr int amxBf16 = 22, amxTile = 24;
  const unsigned features = cpuid(7, 0).edx;
  return hasAvx512() && hasBit(features, amxBf16) && hasBit(features, amxTile) && systemSavesTiles() &&
         mayUseTiles();
}

#else

bool hasAvx2() { return false; }
bool hasAvx512() { return false; }
bool hasAvx512Bf16() { return false; }
bool multipliesPairsFast() { return false; }
bool hasAmx() { return false; }

#endif

}  // namespace ddsc::cpu
