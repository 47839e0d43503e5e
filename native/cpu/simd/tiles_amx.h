#pragma once
// The tiles of simd/tiles.h on AMX. Assembly rather than intrinsics: some compilers' intrinsics do not say
// that they read memory, which lets a store to a packed buffer sink below the load of it.

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

DDSC_INLINE void configureTiles(const TileConfiguration& configuration) {
  asm volatile("ldtilecfg %0" ::"m"(configuration));
}
DDSC_INLINE void releaseTiles() { asm volatile("tilerelease" ::: "memory"); }

template <int tile>
DDSC_INLINE void tileZero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
template <int tile>
DDSC_INLINE void tileLoad(const void* from, std::int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
DDSC_INLINE void tileStore(void* to, std::int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int sum, int left, int right>
DDSC_INLINE void tileMultiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sum), "i"(left), "i"(right));
}

}  // namespace ddsc::cpu::DDSC_ISA
