#pragma once
// Philox4x32-10 on vectors, word for word that of random.h, and dropout drawn from it. For files of cpu/ops/ only
// (compiled once per instruction set).

#include "cpu/simd.h"
#include "ops/ops.h"
#include "random.h"

namespace ddsc::cpu::DDSC_ISA {

/// Word w of the block at position[lane] is word[w], lane by lane.
struct PhiloxVectors {
  I word[4];
};

DDSC_INLINE PhiloxVectors philox(const Stream& stream, I position) {
  const I m0 = setInt(kPhiloxM0), m1 = setInt(kPhiloxM1);
  I x0 = position, x1 = setInt(stream.cell), x2 = setInt(stream.step), x3 = setInt(stream.tail);
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
  return {{x0, x1, x2, x3}};
}

/// Transposes each group of four lanes: lane 4 g + j of word w goes to lane 4 g + w of vector j.
DDSC_INLINE PhiloxVectors transposeGroups(const PhiloxVectors& in) {
#if defined(__AVX512F__)
  const __m512i a = _mm512_unpacklo_epi32(in.word[0].v, in.word[1].v);
  const __m512i b = _mm512_unpackhi_epi32(in.word[0].v, in.word[1].v);
  const __m512i c = _mm512_unpacklo_epi32(in.word[2].v, in.word[3].v);
  const __m512i d = _mm512_unpackhi_epi32(in.word[2].v, in.word[3].v);
  return {{{_mm512_unpacklo_epi64(a, c)},
           {_mm512_unpackhi_epi64(a, c)},
           {_mm512_unpacklo_epi64(b, d)},
           {_mm512_unpackhi_epi64(b, d)}}};
#elif defined(__AVX2__)
  const __m256i a = _mm256_unpacklo_epi32(in.word[0].v, in.word[1].v);
  const __m256i b = _mm256_unpackhi_epi32(in.word[0].v, in.word[1].v);
  const __m256i c = _mm256_unpacklo_epi32(in.word[2].v, in.word[3].v);
  const __m256i d = _mm256_unpackhi_epi32(in.word[2].v, in.word[3].v);
  return {{{_mm256_unpacklo_epi64(a, c)},
           {_mm256_unpackhi_epi64(a, c)},
           {_mm256_unpacklo_epi64(b, d)},
           {_mm256_unpackhi_epi64(b, d)}}};
#else
  static_assert(kWidth == 4);
  PhiloxVectors out;
  for (int j = 0; j < 4; ++j)
    for (int w = 0; w < 4; ++w) out.word[j].v[w] = in.word[w].v[j];
  return out;
#endif
}

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
    // Lane 4 g + j draws the block of vector j's group g, so that transposed words lie in the order of the columns.
    const I lane = iota();
    const I block = (lane & setInt(3)) * setInt(static_cast<std::uint32_t>(kWidth / 4)) + shiftRight<2>(lane);
    const I position = setInt(position_ | static_cast<std::uint32_t>(first / 4)) + block;
    const PhiloxVectors words = transposeGroups(philox(stream_, position));
    for (int j = 0; j < 4; ++j)
      factor[j] = select(lessUnsigned(words.word[j], setInt(threshold_)), zero(), set1(scale_));
  }

 private:
  Stream stream_;
  std::uint32_t position_;
  std::uint32_t threshold_;
  float scale_;
};

}  // namespace ddsc::cpu::DDSC_ISA
