#pragma once
// Tile registers: eight of 16 rows by 64 bytes, and a multiplication of two tiles of bf16 pairs into one of
// float32. Kernels name registers by template arguments and see nothing else of the unit, so that the same
// sources run on the processor's own tiles and, in tests, on emulated ones.
//
//   TileSession            this thread may use tiles for as long as it lives; all are configured 16 x 64
//   bytes tileZero<t>()          t = 0 tileLoad<t>(p, s)      t = 16 rows of 64 bytes from p, s bytes apart
//   tileStore<t>(p, s)     the reverse
//   tileMultiply<c, a, b>  c[m][n] += sum over k < 16 of a[m][k] . b[k][n]: float32, products of bf16 pairs

#include "core/views.h"

#ifndef DDSC_ISA
#define DDSC_ISA generic  // for editors and single-file checks
#endif

namespace ddsc::cpu::DDSC_ISA {

inline constexpr int kTileRegisters = 8;
inline constexpr int kTileRegisterRows = 16;
inline constexpr int kTileRegisterBytes = 64;

/// What LDTILECFG reads: palette 1 is eight registers of up to 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, startRow = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytesPerRow[16] = {};
  std::uint8_t rows[16] = {};

  DDSC_INLINE constexpr TileConfiguration() {
    for (int tile = 0; tile < kTileRegisters; ++tile) {
      bytesPerRow[tile] = kTileRegisterBytes;
      rows[tile] = kTileRegisterRows;
    }
  }
};
static_assert(sizeof(TileConfiguration) == 64);

}  // namespace ddsc::cpu::DDSC_ISA

#if defined(DDSC_EMULATED_TILES)
#include "cpu/simd/tiles_emulated.h"
#else
#include "cpu/simd/tiles_amx.h"
#endif

namespace ddsc::cpu::DDSC_ISA {

/// Configures this thread's tiles; gives them back at the end, so that the system need not save their 8 KiB
/// whenever it switches threads.
class TileSession {
 public:
  DDSC_INLINE TileSession() { configureTiles(TileConfiguration()); }
  DDSC_INLINE ~TileSession() { releaseTiles(); }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;
};

}  // namespace ddsc::cpu::DDSC_ISA
