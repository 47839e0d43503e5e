#pragma once
// The vectors of simd.h on AVX2 with FMA.

#include <immintrin.h>

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kWidth = 8;

struct F {
  __m256 v;
};
struct I {
  __m256i v;
};
struct M {
  __m256 v;
};

DDSC_INLINE F zero() { return {_mm256_setzero_ps()}; }
DDSC_INLINE F set1(float a) { return {_mm256_set1_ps(a)}; }
DDSC_INLINE F operator+(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
DDSC_INLINE F operator-(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
DDSC_INLINE F operator*(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
DDSC_INLINE F operator/(F a, F b) { return {_mm256_div_ps(a.v, b.v)}; }
DDSC_INLINE F fma(F a, F b, F c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
DDSC_INLINE F fnma(F a, F b, F c) { return {_mm256_fnmadd_ps(a.v, b.v, c.v)}; }
DDSC_INLINE F fmaOf(const float* a, F b, F c) { return fma(set1(*a), b, c); }
DDSC_INLINE F min(F a, F b) { return {_mm256_min_ps(a.v, b.v)}; }
DDSC_INLINE F max(F a, F b) { return {_mm256_max_ps(a.v, b.v)}; }
/// 1 / a, for a and 1 / a normal.
DDSC_INLINE F reciprocal(F a) { return set1(1.0f) / a; }
DDSC_INLINE F abs(F a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
DDSC_INLINE F sqrt(F a) { return {_mm256_sqrt_ps(a.v)}; }

DDSC_INLINE M operator<(F a, F b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
DDSC_INLINE M operator<=(F a, F b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
DDSC_INLINE M operator==(F a, F b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)}; }
DDSC_INLINE M operator&(M a, M b) { return {_mm256_and_ps(a.v, b.v)}; }
DDSC_INLINE M operator|(M a, M b) { return {_mm256_or_ps(a.v, b.v)}; }
DDSC_INLINE bool any(M a) { return _mm256_movemask_ps(a.v) != 0; }
DDSC_INLINE F select(M m, F a, F b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }

DDSC_INLINE I setInt(std::uint32_t a) { return {_mm256_set1_epi32(static_cast<int>(a))}; }
DDSC_INLINE I iota() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)}; }
DDSC_INLINE I operator+(I a, I b) { return {_mm256_add_epi32(a.v, b.v)}; }
DDSC_INLINE I operator-(I a, I b) { return {_mm256_sub_epi32(a.v, b.v)}; }
DDSC_INLINE I operator*(I a, I b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
DDSC_INLINE I operator&(I a, I b) { return {_mm256_and_si256(a.v, b.v)}; }
DDSC_INLINE I operator|(I a, I b) { return {_mm256_or_si256(a.v, b.v)}; }
DDSC_INLINE I operator^(I a, I b) { return {_mm256_xor_si256(a.v, b.v)}; }
template <int bits>
DDSC_INLINE I shiftLeft(I a) {
  return {_mm256_slli_epi32(a.v, bits)};
}
template <int bits>
DDSC_INLINE I shiftRight(I a) {
  return {_mm256_srli_epi32(a.v, bits)};
}
DDSC_INLINE I mulHigh(I a, I b) {
  const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(a.v, b.v), 32);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32));
  return {_mm256_blend_epi32(even, odd, 0xAA)};
}
DDSC_INLINE M lessUnsigned(I a, I b) {
  const __m256i flip = _mm256_set1_epi32(static_cast<int>(0x80000000u));
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_xor_si256(b.v, flip), _mm256_xor_si256(a.v, flip)))};
}
DDSC_INLINE M operator==(I a, I b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
DDSC_INLINE I select(M m, I a, I b) { return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))}; }
DDSC_INLINE I bitsOf(F a) { return {_mm256_castps_si256(a.v)}; }
DDSC_INLINE F fromBits(I a) { return {_mm256_castsi256_ps(a.v)}; }
DDSC_INLINE F toFloat(I a) { return {_mm256_cvtepi32_ps(a.v)}; }

DDSC_INLINE F load(const float* p) { return {_mm256_loadu_ps(p)}; }
DDSC_INLINE void store(float* p, F a) { _mm256_storeu_ps(p, a.v); }
/// Past the caches; p on a vector's boundary.
DDSC_INLINE void stream(float* p, F a) { _mm256_stream_ps(p, a.v); }
DDSC_INLINE I load(const std::int32_t* p) {
  return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
DDSC_INLINE void store(std::int32_t* p, I a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }

DDSC_INLINE __m256i maskOfFirst(std::int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), iota().v);
}
DDSC_INLINE F load(const float* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  return {_mm256_maskload_ps(p, maskOfFirst(count))};
}
DDSC_INLINE void store(float* p, F a, std::int64_t count) {
  if (count == kWidth) return store(p, a);
  _mm256_maskstore_ps(p, maskOfFirst(count), a.v);
}
DDSC_INLINE I load(const std::int32_t* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  return {_mm256_maskload_epi32(p, maskOfFirst(count))};
}
DDSC_INLINE void store(std::int32_t* p, I a, std::int64_t count) {
  if (count == kWidth) return store(p, a);
  _mm256_maskstore_epi32(p, maskOfFirst(count), a.v);
}
DDSC_INLINE M firstLanes(std::int64_t count) { return {_mm256_castsi256_ps(maskOfFirst(count))}; }

DDSC_INLINE F widen(__m128i halves) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16))};
}
DDSC_INLINE __m128i upperHalves(I a) {
  const __m256i halves = _mm256_srli_epi32(a.v, 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}
DDSC_INLINE F load(const bf16* p) { return widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
DDSC_INLINE F load(const bf16* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  __m128i halves = _mm_setzero_si128();
  __builtin_memcpy(&halves, p, static_cast<std::size_t>(count) * sizeof(bf16));
  return widen(halves);
}
/// Stores the upper half of each lane.
DDSC_INLINE void storeUpper(bf16* p, I a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), upperHalves(a)); }
DDSC_INLINE void storeUpper(bf16* p, I a, std::int64_t count) {
  if (count == kWidth) return storeUpper(p, a);
  const __m128i halves = upperHalves(a);
  __builtin_memcpy(p, &halves, static_cast<std::size_t>(count) * sizeof(bf16));
}
DDSC_INLINE void streamUpper(bf16* p, I a) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), upperHalves(a));
}

DDSC_INLINE float sum(F a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
DDSC_INLINE float maximum(F a) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/// a * 2^n for whole n in -250 .. 250, right down to denormals and up to infinity: in two steps, as one
/// factor alone may not be a normal number.
DDSC_INLINE F scaleByPowerOfTwo(F a, F n) {
  const __m256i exponent = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(exponent, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(exponent, half), bias), 23);
  return {_mm256_mul_ps(_mm256_mul_ps(a.v, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second))};
}

/// rows[i] lane j <-> rows[j] lane i.
DDSC_INLINE void transpose(F (&rows)[kWidth]) {
  __m256 pairs[8], quads[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i].v, rows[i + 1].v);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    const int from = i / 4 * 4 + i % 4 / 2;
    const __m256d low = _mm256_castps_pd(pairs[from]), high = _mm256_castps_pd(pairs[from + 2]);
    quads[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, high));
    quads[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, high));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    rows[c].v = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x20);
    rows[4 + c].v = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x31);
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
