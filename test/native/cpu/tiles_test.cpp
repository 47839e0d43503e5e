// The emulated tiles do what the manual says of TDPBF16PS, where that differs from a plain sum.
#define DDSC_EMULATED_TILES
#include "cpu/simd/tiles.h"

#include <cstring>

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

using namespace cpu::generic;

/// A tile of bf16 pairs.
struct Pairs {
  bf16 values[kTileRegisterRows][2 * kTileRegisterRows] = {};
};
struct Sums {
  float values[kTileRegisterRows][kTileRegisterRows] = {};
};

Sums multiply(const Sums& before, const Pairs& left, const Pairs& right) {
  Sums after = before;
  tileLoad<0>(&after, 64);
  tileLoad<1>(&left, 64);
  tileLoad<2>(&right, 64);
  tileMultiply<0, 1, 2>();
  tileStore<0>(&after, 64);
  return after;
}

DDSC_TEST("a tile product sums its even and its odd products apart before it adds them") {
  const TileSession session;
  Pairs left, right;
  // Even products 2^24 and 1, which are 2^24 in float32; odd ones 1 and 1.
  for (int i = 0; i < 4; ++i) left.values[3][i] = toBf16(1);
  right.values[0][2 * 5] = toBf16(16777216);
  right.values[0][2 * 5 + 1] = right.values[1][2 * 5] = right.values[1][2 * 5 + 1] = toBf16(1);
  Sums expected;
  expected.values[3][5] = 16777218;
  const Sums actual = multiply({}, left, right);
  check(std::memcmp(&actual, &expected, sizeof(Sums)) == 0, "not the manual's order");
}

DDSC_TEST("a tile product adds to what its tile holds") {
  const TileSession session;
  Pairs left, right;
  Sums before;
  for (int row = 0; row < kTileRegisterRows; ++row) {
    left.values[row][2 * row] = toBf16(2);
    for (int col = 0; col < kTileRegisterRows; ++col) {
      right.values[row][2 * col] = toBf16(static_cast<float>(row * 16 + col));
      before.values[row][col] = 1000;
    }
  }
  const Sums after = multiply(before, left, right);
  for (int row = 0; row < kTileRegisterRows; ++row)
    for (int col = 0; col < kTileRegisterRows; ++col)
      checkEqual(after.values[row][col], static_cast<float>(1000 + 2 * (row * 16 + col)));
}

DDSC_TEST("a tile product takes and gives denormals as zero") {
  const TileSession session;
  Pairs left, right;
  left.values[0][0] = bf16{0x0001};  // a denormal
  left.values[1][0] = toBf16(0x1p-100f);
  right.values[0][0] = toBf16(0x1p100f);
  right.values[0][2] = toBf16(0x1p-40f);
  const Sums after = multiply({}, left, right);
  checkEqual(after.values[0][0], 0.0f);
  checkEqual(after.values[1][0], 1.0f);
  checkEqual(after.values[1][1], 0.0f);
}

DDSC_TEST("tiles of fewer rows and columns load, multiply and clear only those") {
  TileConfiguration shape;
  shape.rows[0] = shape.rows[1] = 2;
  shape.bytesPerRow[1] = 4 * 3;
  shape.rows[2] = 3;
  shape.bytesPerRow[0] = shape.bytesPerRow[2] = 4 * 5;
  configureTiles(shape);
  Pairs left, right;
  for (auto& row : left.values)
    for (bf16& value : row) value = toBf16(1);
  right = left;
  const Sums after = multiply({}, left, right);
  releaseTiles();
  for (int row = 0; row < kTileRegisterRows; ++row)
    for (int col = 0; col < kTileRegisterRows; ++col)
      checkEqual(after.values[row][col], row < 2 && col < 5 ? 6.0f : 0.0f);
}

}  // namespace
}  // namespace ddsc::test
