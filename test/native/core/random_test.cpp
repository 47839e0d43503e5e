#include "core/random.h"

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

void checkWords(const PhiloxBlock& block, const std::uint32_t (&expected)[4]) {
  for (int word = 0; word < 4; ++word) checkEqual(block.word[word], expected[word]);
}

/// The stream whose counter is {position, c1, c2, c3}.
Stream rawStream(std::uint32_t c1, std::uint32_t c2, std::uint32_t c3, std::uint32_t key0,
                 std::uint32_t key1) {
  Stream stream(0, Purpose::mask, 0, 0);
  stream.cell = c1;
  stream.step = c2;
  stream.tail = c3;
  stream.key0 = key0;
  stream.key1 = key1;
  return stream;
}

// Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
DDSC_TEST("philox gives the published answer for a counter and key of zeros") {
  checkWords(philox(rawStream(0, 0, 0, 0, 0), 0), {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
}

DDSC_TEST("philox gives the published answer for a counter and key of ones") {
  constexpr std::uint32_t ones = 0xFFFFFFFFu;
  checkWords(philox(rawStream(ones, ones, ones, ones, ones), ones),
             {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu});
}

DDSC_TEST("philox gives the published answer for the digits of pi") {
  checkWords(philox(rawStream(0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u), 0x243f6a88u),
             {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u});
}

// test/random.test.ts checks the same names against the same words.
DDSC_TEST("a stream lays out counter and key as lib/base/random.ts does") {
  const Stream stream(0x1a2b3c4d5e6f7u, Purpose::draw, 0x123456789abu, 0x9876543210au);
  checkEqual(stream.key0, 0xc4d5e6f7u);
  checkEqual(stream.key1, 0x0001a2b3u);
  checkEqual(stream.cell, 0x6543210au);
  checkEqual(stream.step, 0x456789abu);
  checkEqual(stream.tail, 4u << 24 | 0x987u << 12 | 0x123u);
  checkWords(philox(stream, 0), {0xcf017473u, 0x35f46c66u, 0x1568ed31u, 0xcaca4df6u});
}

DDSC_TEST("a dropout site stands in the key above the seed's bits") {
  const Stream stream(0x1FFFFFFFFFFFFFu, Purpose::dropout, 0, 0, 2047);
  checkEqual(stream.key0, 0xFFFFFFFFu);
  checkEqual(stream.key1, 0xFFFFFFFFu);
  checkEqual(Stream(0, Purpose::dropout, 0, 0, 1).key1, 1u << 21);
}

DDSC_TEST("uniforms have 53 bits and stay below one") {
  checkEqual(uniform53(0, 0), 0.0);
  checkEqual(uniform53(0, 1u << 6), 0x1p-53);
  checkEqual(uniform53(0xFFFFFFFFu, 0xFFFFFFFFu), 1 - 0x1p-53);
}

DDSC_TEST("a threshold of probability one is passed by every word and one of zero by none") {
  checkEqual(threshold32(0), std::uint64_t{0});
  checkEqual(threshold32(0.5), std::uint64_t{1} << 31);
  checkEqual(threshold32(1), std::uint64_t{1} << 32);
}

}  // namespace
}  // namespace ddsc::test
