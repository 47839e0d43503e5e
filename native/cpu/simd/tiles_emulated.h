#pragma once
// The tiles of simd/tiles.h as the Intel 64 manual defines LDTILECFG, TILELOADD, TILESTORED, TILEZERO and
// TDPBF16PS, for machines without them: for tests only. What the processor answers with an exception ends the
// program with a message. Vectors of simd.h do the arithmetic.

#include <stdio.h>
#include <stdlib.h>

#include "cpu/simd.h"

namespace ddsc::cpu::DDSC_ISA {

/// A thread's tile registers. Float rows are the bits of whatever the rows hold.
struct TileState {
  bool configured = false;
  TileConfiguration shape;
  alignas(64) float rows[kTileRegisters][kTileRegisterRows][kTileRegisterBytes / 4] = {};
};

inline TileState& tileState() {
  static thread_local TileState state;
  return state;
}

DDSC_INLINE void requireTiles(bool good, const char* what) {
  if (good) return;
  ::fprintf(stderr, "emulated tiles: %s\n", what);
  ::abort();
}

inline void configureTiles(const TileConfiguration& configuration) {
  requireTiles(configuration.palette == 1 && configuration.startRow == 0, "no such palette");
  for (int tile = 0; tile < 16; ++tile) {
    const int rows = configuration.rows[tile], bytes = configuration.bytesPerRow[tile];
    requireTiles(tile < kTileRegisters || (rows == 0 && bytes == 0), "more than eight tiles are configured");
    requireTiles(rows <= kTileRegisterRows && bytes <= kTileRegisterBytes, "a tile is configured too large");
    requireTiles((rows == 0) == (bytes == 0), "a tile is configured with rows or bytes alone");
  }
  tileState() = TileState();
  tileState().configured = true;
  tileState().shape = configuration;
}

inline void releaseTiles() { tileState() = TileState(); }

/// The state, with the tile known to be usable.
inline TileState& stateFor(int tile) {
  TileState& state = tileState();
  requireTiles(state.configured, "used outside of a session");
  requireTiles(tile >= 0 && tile < kTileRegisters && state.shape.rows[tile] > 0, "not a configured tile");
  return state;
}

inline void zeroTile(int tile) {
  for (auto& row : stateFor(tile).rows[tile])
    for (float& value : row) value = 0;
}

/// Rows and bytes past the configured ones become zero.
inline void loadTile(int tile, const void* from, std::int64_t stride) {
  TileState& state = stateFor(tile);
  zeroTile(tile);
  for (std::int64_t row = 0; row < state.shape.rows[tile]; ++row)
    __builtin_memcpy(state.rows[tile][row], static_cast<const char*>(from) + row * stride,
                     state.shape.bytesPerRow[tile]);
}

inline void storeTile(int tile, void* to, std::int64_t stride) {
  const TileState& state = stateFor(tile);
  for (std::int64_t row = 0; row < state.shape.rows[tile]; ++row)
    __builtin_memcpy(static_cast<char*>(to) + row * stride, state.rows[tile][row],
                     state.shape.bytesPerRow[tile]);
}

/// Denormals to zero of the same sign, as the unit takes its operands and gives its results.
DDSC_INLINE F flushed(F a) {
  return select(abs(a) < set1(1.17549435e-38f), fromBits(bitsOf(a) & setInt(0x80000000u)), a);
}
DDSC_INLINE float flushed(float a) { return __builtin_fabsf(a) < 1.17549435e-38f ? a * 0.0f : a; }

/// The even and the odd products of a row are summed apart from zero, step by step, each with one rounding;
/// the two sums are added, then that to what the tile held. Every result is rounded to nearest even.
inline void multiplyRegisters(int sum, int left, int right) {
  TileState& state = stateFor(sum);
  stateFor(left);
  stateFor(right);
  const TileConfiguration& shape = state.shape;
  requireTiles(sum != left && sum != right && left != right, "one tile is named twice");
  requireTiles(shape.rows[sum] == shape.rows[left] && shape.bytesPerRow[sum] == shape.bytesPerRow[right] &&
                   shape.bytesPerRow[left] == 4 * shape.rows[right],
               "tiles that cannot be multiplied");
  for (int m = 0; m < shape.rows[sum]; ++m) {
    for (int n = 0; n < kTileRegisterBytes / 4; n += static_cast<int>(kWidth)) {
      F even = zero(), odd = zero();
      for (int k = 0; k < shape.rows[right]; ++k) {
        const auto pair = __builtin_bit_cast(std::uint32_t, state.rows[left][m][k]);
        const I pairs = bitsOf(load(state.rows[right][k] + n));
        const float evenFactor = flushed(__builtin_bit_cast(float, pair << 16));
        const float oddFactor = flushed(__builtin_bit_cast(float, pair & 0xFFFF0000u));
        even = flushed(fma(set1(evenFactor), flushed(fromBits(shiftLeft<16>(pairs))), even));
        odd = flushed(fma(set1(oddFactor), flushed(fromBits(pairs & setInt(0xFFFF0000u))), odd));
      }
      const F before = flushed(load(state.rows[sum][m] + n));
      store(state.rows[sum][m] + n, flushed(before + flushed(even + odd)));
    }
  }
  // Columns past the configured ones held zero and have products with zeros alone; rows past them are
  // cleared.
  for (int m = shape.rows[sum]; m < kTileRegisterRows; ++m)
    for (float& value : state.rows[sum][m]) value = 0;
}

template <int tile>
DDSC_INLINE void tileZero() {
  zeroTile(tile);
}
template <int tile>
DDSC_INLINE void tileLoad(const void* from, std::int64_t stride) {
  loadTile(tile, from, stride);
}
template <int tile>
DDSC_INLINE void tileStore(void* to, std::int64_t stride) {
  storeTile(tile, to, stride);
}
template <int sum, int left, int right>
DDSC_INLINE void tileMultiply() {
  multiplyRegisters(sum, left, right);
}

}  // namespace ddsc::cpu::DDSC_ISA
