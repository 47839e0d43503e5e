#pragma once
// The vectors of simd.h on AVX-512 (F, BW, DQ, VL).

#include <immintrin.h>

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kWidth = 16;

struct F {
  __m512 v;
};
struct I {
  __m512i v;
};
struct M {
  __mmask16 v;
};

DDSC_INLINE F zero() { return {_mm512_setzero_ps()}; }
DDSC_INLINE F set1(float a) { return {_mm512_set1_ps(a)}; }
DDSC_INLINE F operator+(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
DDSC_INLINE F operator-(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
DDSC_INLINE F operator*(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
DDSC_INLINE F operator/(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
DDSC_INLINE F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
DDSC_INLINE F fnma(F a, F b, F c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
/// The compiler would read *a once for all its uses: an instruction more, where it is the decoder that binds.
DDSC_INLINE F fmaOf(const float* a, F b, F c) {
  asm("vfmadd231ps %1%{1to16%}, %2, %0" : "+v"(c.v) : "m"(*a), "v"(b.v));
  return c;
}
DDSC_INLINE F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
DDSC_INLINE F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
/// 1 / a within 1 ulp, for a and 1 / a normal: a fifth of a division's time.
DDSC_INLINE F reciprocal(F a) {
  const F estimate = {_mm512_rcp14_ps(a.v)};
  return fma(estimate, fnma(a, estimate, set1(1.0f)), estimate);
}
DDSC_INLINE F abs(F a) { return {_mm512_abs_ps(a.v)}; }
DDSC_INLINE F sqrt(F a) { return {_mm512_sqrt_ps(a.v)}; }

DDSC_INLINE M operator<(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
DDSC_INLINE M operator<=(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
DDSC_INLINE M operator==(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
DDSC_INLINE M operator&(M a, M b) { return {static_cast<__mmask16>(a.v & b.v)}; }
DDSC_INLINE M operator|(M a, M b) { return {static_cast<__mmask16>(a.v | b.v)}; }
DDSC_INLINE bool any(M a) { return a.v != 0; }
DDSC_INLINE F select(M m, F a, F b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }

DDSC_INLINE I setInt(std::uint32_t a) { return {_mm512_set1_epi32(static_cast<int>(a))}; }
DDSC_INLINE I iota() { return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }
DDSC_INLINE I operator+(I a, I b) { return {_mm512_add_epi32(a.v, b.v)}; }
DDSC_INLINE I operator-(I a, I b) { return {_mm512_sub_epi32(a.v, b.v)}; }
DDSC_INLINE I operator*(I a, I b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
DDSC_INLINE I operator&(I a, I b) { return {_mm512_and_si512(a.v, b.v)}; }
DDSC_INLINE I operator|(I a, I b) { return {_mm512_or_si512(a.v, b.v)}; }
DDSC_INLINE I operator^(I a, I b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int bits>
DDSC_INLINE I shiftLeft(I a) {
  return {_mm512_slli_epi32(a.v, bits)};
}
template <int bits>
DDSC_INLINE I shiftRight(I a) {
  return {_mm512_srli_epi32(a.v, bits)};
}
DDSC_INLINE I mulHigh(I a, I b) {
  const __m512i even = _mm512_srli_epi64(_mm512_mul_epu32(a.v, b.v), 32);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32));
  return {_mm512_mask_blend_epi32(0xAAAA, even, odd)};
}
DDSC_INLINE M lessUnsigned(I a, I b) { return {_mm512_cmplt_epu32_mask(a.v, b.v)}; }
DDSC_INLINE M operator==(I a, I b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
DDSC_INLINE I select(M m, I a, I b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }
DDSC_INLINE I bitsOf(F a) { return {_mm512_castps_si512(a.v)}; }
DDSC_INLINE F fromBits(I a) { return {_mm512_castsi512_ps(a.v)}; }
DDSC_INLINE F toFloat(I a) { return {_mm512_cvtepi32_ps(a.v)}; }

DDSC_INLINE F load(const float* p) { return {_mm512_loadu_ps(p)}; }
DDSC_INLINE void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
/// Past the caches; p on a vector's boundary.
DDSC_INLINE void stream(float* p, F a) { _mm512_stream_ps(p, a.v); }
DDSC_INLINE I load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
DDSC_INLINE void store(std::int32_t* p, I a) { _mm512_storeu_si512(p, a.v); }

DDSC_INLINE __mmask16 maskOfFirst(std::int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
/// Known while compiling to be all lanes: no mask then. (A branch for counts known later costs more than the
/// mask.)
DDSC_INLINE bool isWhole(std::int64_t count) { return __builtin_constant_p(count) && count == kWidth; }
DDSC_INLINE F load(const float* p, std::int64_t count) {
  if (isWhole(count)) return load(p);
  return {_mm512_maskz_loadu_ps(maskOfFirst(count), p)};
}
DDSC_INLINE void store(float* p, F a, std::int64_t count) {
  if (isWhole(count)) return store(p, a);
  _mm512_mask_storeu_ps(p, maskOfFirst(count), a.v);
}
DDSC_INLINE I load(const std::int32_t* p, std::int64_t count) {
  if (isWhole(count)) return load(p);
  return {_mm512_maskz_loadu_epi32(maskOfFirst(count), p)};
}
DDSC_INLINE void store(std::int32_t* p, I a, std::int64_t count) {
  if (isWhole(count)) return store(p, a);
  _mm512_mask_storeu_epi32(p, maskOfFirst(count), a.v);
}
DDSC_INLINE M firstLanes(std::int64_t count) { return {maskOfFirst(count)}; }

DDSC_INLINE F widen(__m256i halves) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
}
DDSC_INLINE __m256i upperHalves(I a) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32(a.v, 16)); }
DDSC_INLINE F load(const bf16* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
DDSC_INLINE F load(const bf16* p, std::int64_t count) {
  if (isWhole(count)) return load(p);
  return widen(_mm256_maskz_loadu_epi16(maskOfFirst(count), p));
}
/// Stores the upper half of each lane.
DDSC_INLINE void storeUpper(bf16* p, I a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), upperHalves(a));
}
DDSC_INLINE void storeUpper(bf16* p, I a, std::int64_t count) {
  if (isWhole(count)) return storeUpper(p, a);
  _mm256_mask_storeu_epi16(p, maskOfFirst(count), upperHalves(a));
}
DDSC_INLINE void streamUpper(bf16* p, I a) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), upperHalves(a));
}

DDSC_INLINE float sum(F a) { return _mm512_reduce_add_ps(a.v); }
DDSC_INLINE float maximum(F a) { return _mm512_reduce_max_ps(a.v); }

/// a * 2^n for whole n, right down to denormals and up to infinity.
DDSC_INLINE F scaleByPowerOfTwo(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }

/// rows[i] lane j <-> rows[j] lane i.
DDSC_INLINE void transpose(F (&rows)[kWidth]) {
  __m512 pairs[16], quads[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    const int from = i / 4 * 4 + i % 4 / 2;
    const __m512d low = _mm512_castps_pd(pairs[from]), high = _mm512_castps_pd(pairs[from + 2]);
    quads[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
    quads[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
  }
  // Now quads[4 g + c], 128-bit block b, holds rows 4 g .. 4 g + 3 of column 4 b + c: transpose the blocks.
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 evenLow = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x88);
    const __m512 evenHigh = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x88);
    const __m512 oddLow = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xDD);
    const __m512 oddHigh = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xDD);
    rows[c].v = _mm512_shuffle_f32x4(evenLow, evenHigh, 0x88);
    rows[4 + c].v = _mm512_shuffle_f32x4(oddLow, oddHigh, 0x88);
    rows[8 + c].v = _mm512_shuffle_f32x4(evenLow, evenHigh, 0xDD);
    rows[12 + c].v = _mm512_shuffle_f32x4(oddLow, oddHigh, 0xDD);
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
