#pragma once
// Philox4x32-10 on vectors, word for word that of random.h, and dropout drawn from it. For files of cpu/ops/
// only (compiled once per instruction set).

#include "core/random.h"
#include "cpu/simd.h"
#include "ops/ops.h"

namespace ddsc::cpu::DDSC_ISA {

/// The words of the kWidth blocks from `position` on, block after block: word 4 i + w of these is word w of
/// block i. Lane l of vector[j] is number j kWidth + l of them.
struct PhiloxWords {
  I vector[4];
};

#if defined(__AVX512F__)
/// Vectors whose 128-bit parts are the rows of 4 x 4 matrices: transposes each matrix.
DDSC_INLINE PhiloxWords transposed(I x0, I x1, I x2, I x3) {
  const __m512i a = _mm512_unpacklo_epi32(x0.v, x1.v), b = _mm512_unpackhi_epi32(x0.v, x1.v);
  const __m512i c = _mm512_unpacklo_epi32(x2.v, x3.v), d = _mm512_unpackhi_epi32(x2.v, x3.v);
  return {{{_mm512_unpacklo_epi64(a, c)},
           {_mm512_unpackhi_epi64(a, c)},
           {_mm512_unpacklo_epi64(b, d)},
           {_mm512_unpackhi_epi64(b, d)}}};
}
#elif defined(__AVX2__)
/// Vectors whose 128-bit parts are the rows of 4 x 4 matrices: transposes each matrix.
DDSC_INLINE PhiloxWords transposed(I x0, I x1, I x2, I x3) {
  const __m256i a = _mm256_unpacklo_epi32(x0.v, x1.v), b = _mm256_unpackhi_epi32(x0.v, x1.v);
  const __m256i c = _mm256_unpacklo_epi32(x2.v, x3.v), d = _mm256_unpackhi_epi32(x2.v, x3.v);
  return {{{_mm256_unpacklo_epi64(a, c)},
           {_mm256_unpackhi_epi64(a, c)},
           {_mm256_unpacklo_epi64(b, d)},
           {_mm256_unpackhi_epi64(b, d)}}};
}
#endif

#if defined(__AVX2__)
DDSC_INLINE PhiloxWords philoxWords(const Stream& stream, std::uint32_t position) {
  // Lane 4 g + j takes the block whose words belong in part g of vector j, so that transposing leaves them in
  // order.
  const I lane = iota();
  const I block = (lane & setInt(3)) * setInt(static_cast<std::uint32_t>(kWidth / 4)) + shiftRight<2>(lane);
  const I m0 = setInt(kPhiloxM0), m1 = setInt(kPhiloxM1);
  I x0 = setInt(position) + block, x1 = setInt(stream.cell), x2 = setInt(stream.step),
    x3 = setInt(stream.tail);
  std::uint32_t k0 = stream.key0, k1 = stream.key1;
  for (int round = 0; round < 10; ++round) {
    const I y0 = mulHigh(m1, x2) ^ x1 ^ setInt(k0);
    const I y2 = mulHigh(m0, x0) ^ x3 ^ setInt(k1);
    x1 = m1 * x2;
    x3 = m0 * x0;
    x0 = y0;
    x2 = y2;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
  return transposed(x0, x1, x2, x3);
}
#else
/// Without a wide multiplication of vectors, the processor's own 64-bit one is faster.
DDSC_INLINE PhiloxWords philoxWords(const Stream& stream, std::uint32_t position) {
  static_assert(kWidth == 4);
  PhiloxWords words;
  for (std::uint32_t block = 0; block < 4; ++block) {
    const PhiloxBlock drawn = philox(stream, position + block);
    words.vector[block] = I{{drawn.word[0], drawn.word[1], drawn.word[2], drawn.word[3]}};
  }
  return words;
}
#endif

/// The dropout factors of one row: 1 / (1 - p) where an element is kept, 0 where it is dropped.
class DropoutRow {
 public:
  /// Columns drawn at a time: one Philox block holds the words of four columns.
  static constexpr std::int64_t kColumns = 4 * kWidth;

  DDSC_INLINE DropoutRow(const Dropout& dropout, std::uint64_t cellIndex, std::int32_t position)
      : stream_(dropout.seed, Purpose::dropout, dropout.step, cellIndex, dropout.site),
        position_(static_cast<std::uint32_t>(position) << 12) {
    const std::uint64_t threshold = threshold32(dropout.probability);
    const bool someKept = threshold <= 0xFFFFFFFFu;
    threshold_ = someKept ? static_cast<std::uint32_t>(threshold) : 0u;
    scale_ = someKept ? static_cast<float>(1.0 / (1.0 - dropout.probability)) : 0.0f;
  }

  /// factor[j], lane i: that of column `first` + j kWidth + i. `first` is a multiple of kColumns.
  DDSC_INLINE void factors(std::int64_t first, F (&factor)[4]) const {
    const PhiloxWords words = philoxWords(stream_, position_ | static_cast<std::uint32_t>(first / 4));
    for (int j = 0; j < 4; ++j)
      factor[j] = select(lessUnsigned(words.vector[j], setInt(threshold_)), zero(), set1(scale_));
  }

 private:
  Stream stream_;
  std::uint32_t position_;
  std::uint32_t threshold_;
  float scale_;
};

}  // namespace ddsc::cpu::DDSC_ISA
