#pragma once
// The vectors of simd.h on arm64's NEON.

#include <arm_neon.h>

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kWidth = 4;

struct F {
  float32x4_t v;
};
struct I {
  uint32x4_t v;
};
struct M {
  uint32x4_t v;
};

DDSC_INLINE F zero() { return {vdupq_n_f32(0.0f)}; }
DDSC_INLINE F set1(float a) { return {vdupq_n_f32(a)}; }
DDSC_INLINE F operator+(F a, F b) { return {vaddq_f32(a.v, b.v)}; }
DDSC_INLINE F operator-(F a, F b) { return {vsubq_f32(a.v, b.v)}; }
DDSC_INLINE F operator*(F a, F b) { return {vmulq_f32(a.v, b.v)}; }
DDSC_INLINE F operator/(F a, F b) { return {vdivq_f32(a.v, b.v)}; }
DDSC_INLINE F fma(F a, F b, F c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
DDSC_INLINE F fnma(F a, F b, F c) { return {vfmsq_f32(c.v, a.v, b.v)}; }
DDSC_INLINE F fmaOf(const float* a, F b, F c) { return fma(set1(*a), b, c); }
// NEON's own minimum and maximum are NaN where either operand is; these give b, as on other processors.
DDSC_INLINE F min(F a, F b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
DDSC_INLINE F max(F a, F b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
/// 1 / a, for a and 1 / a normal.
DDSC_INLINE F reciprocal(F a) { return set1(1.0f) / a; }
DDSC_INLINE F abs(F a) { return {vabsq_f32(a.v)}; }
DDSC_INLINE F sqrt(F a) { return {vsqrtq_f32(a.v)}; }

DDSC_INLINE M operator<(F a, F b) { return {vcltq_f32(a.v, b.v)}; }
DDSC_INLINE M operator<=(F a, F b) { return {vcleq_f32(a.v, b.v)}; }
DDSC_INLINE M operator==(F a, F b) { return {vceqq_f32(a.v, b.v)}; }
DDSC_INLINE M operator&(M a, M b) { return {vandq_u32(a.v, b.v)}; }
DDSC_INLINE M operator|(M a, M b) { return {vorrq_u32(a.v, b.v)}; }
DDSC_INLINE bool any(M a) { return vmaxvq_u32(a.v) != 0; }
DDSC_INLINE F select(M m, F a, F b) { return {vbslq_f32(m.v, a.v, b.v)}; }

DDSC_INLINE I setInt(std::uint32_t a) { return {vdupq_n_u32(a)}; }
DDSC_INLINE I iota() { return {uint32x4_t{0, 1, 2, 3}}; }
DDSC_INLINE I operator+(I a, I b) { return {vaddq_u32(a.v, b.v)}; }
DDSC_INLINE I operator-(I a, I b) { return {vsubq_u32(a.v, b.v)}; }
DDSC_INLINE I operator*(I a, I b) { return {vmulq_u32(a.v, b.v)}; }
DDSC_INLINE I operator&(I a, I b) { return {vandq_u32(a.v, b.v)}; }
DDSC_INLINE I operator|(I a, I b) { return {vorrq_u32(a.v, b.v)}; }
DDSC_INLINE I operator^(I a, I b) { return {veorq_u32(a.v, b.v)}; }
template <int bits>
DDSC_INLINE I shiftLeft(I a) {
  return {vshlq_n_u32(a.v, bits)};
}
template <int bits>
DDSC_INLINE I shiftRight(I a) {
  return {vshrq_n_u32(a.v, bits)};
}
DDSC_INLINE I mulHigh(I a, I b) {
  const uint64x2_t low = vmull_u32(vget_low_u32(a.v), vget_low_u32(b.v));
  const uint64x2_t high = vmull_high_u32(a.v, b.v);
  return {vuzp2q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high))};
}
DDSC_INLINE M lessUnsigned(I a, I b) { return {vcltq_u32(a.v, b.v)}; }
DDSC_INLINE M operator==(I a, I b) { return {vceqq_u32(a.v, b.v)}; }
DDSC_INLINE I select(M m, I a, I b) { return {vbslq_u32(m.v, a.v, b.v)}; }
DDSC_INLINE I bitsOf(F a) { return {vreinterpretq_u32_f32(a.v)}; }
DDSC_INLINE F fromBits(I a) { return {vreinterpretq_f32_u32(a.v)}; }
DDSC_INLINE F toFloat(I a) { return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.v))}; }

DDSC_INLINE F load(const float* p) { return {vld1q_f32(p)}; }
DDSC_INLINE void store(float* p, F a) { vst1q_f32(p, a.v); }
/// Where vectors are wide enough, past the caches; here as any store.
DDSC_INLINE void stream(float* p, F a) { store(p, a); }
DDSC_INLINE I load(const std::int32_t* p) { return {vreinterpretq_u32_s32(vld1q_s32(p))}; }
DDSC_INLINE void store(std::int32_t* p, I a) { vst1q_s32(p, vreinterpretq_s32_u32(a.v)); }

/// NEON has no masked loads and stores: what is not a whole vector goes through memory of its own.
DDSC_INLINE F load(const float* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  float lanes[kWidth] = {};
  __builtin_memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(float));
  return load(lanes);
}
DDSC_INLINE void store(float* p, F a, std::int64_t count) {
  if (count == kWidth) return store(p, a);
  float lanes[kWidth];
  store(lanes, a);
  __builtin_memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(float));
}
DDSC_INLINE I load(const std::int32_t* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  std::int32_t lanes[kWidth] = {};
  __builtin_memcpy(lanes, p, static_cast<std::size_t>(count) * sizeof(std::int32_t));
  return load(lanes);
}
DDSC_INLINE void store(std::int32_t* p, I a, std::int64_t count) {
  if (count == kWidth) return store(p, a);
  std::int32_t lanes[kWidth];
  store(lanes, a);
  __builtin_memcpy(p, lanes, static_cast<std::size_t>(count) * sizeof(std::int32_t));
}
DDSC_INLINE M firstLanes(std::int64_t count) {
  return lessUnsigned(iota(), setInt(static_cast<std::uint32_t>(count)));
}

DDSC_INLINE F widen(uint16x4_t halves) { return fromBits({vshll_n_u16(halves, 16)}); }
DDSC_INLINE F load(const bf16* p) {
  uint16x4_t halves;
  __builtin_memcpy(&halves, p, sizeof(halves));
  return widen(halves);
}
DDSC_INLINE F load(const bf16* p, std::int64_t count) {
  if (count == kWidth) return load(p);
  uint16x4_t halves = vdup_n_u16(0);
  __builtin_memcpy(&halves, p, static_cast<std::size_t>(count) * sizeof(bf16));
  return widen(halves);
}
/// Stores the upper half of each lane.
DDSC_INLINE void storeUpper(bf16* p, I a) {
  const uint16x4_t halves = vshrn_n_u32(a.v, 16);
  __builtin_memcpy(p, &halves, sizeof(halves));
}
DDSC_INLINE void storeUpper(bf16* p, I a, std::int64_t count) {
  if (count == kWidth) return storeUpper(p, a);
  const uint16x4_t halves = vshrn_n_u32(a.v, 16);
  __builtin_memcpy(p, &halves, static_cast<std::size_t>(count) * sizeof(bf16));
}
DDSC_INLINE void streamUpper(bf16* p, I a) { storeUpper(p, a); }

DDSC_INLINE float sum(F a) {
  const float32x2_t two = vadd_f32(vget_low_f32(a.v), vget_high_f32(a.v));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
DDSC_INLINE float maximum(F a) {
  const float32x2_t low = vget_low_f32(a.v), high = vget_high_f32(a.v);
  const float32x2_t two = vbsl_f32(vcgt_f32(low, high), low, high);
  const float even = vget_lane_f32(two, 0), odd = vget_lane_f32(two, 1);
  return even > odd ? even : odd;
}

/// a * 2^n for whole n in -250 .. 250, right down to denormals and up to infinity: in two steps, as one
/// factor alone may not be a normal number.
DDSC_INLINE F scaleByPowerOfTwo(F a, F n) {
  const int32x4_t exponent = vcvtnq_s32_f32(n.v);
  const int32x4_t half = vshrq_n_s32(exponent, 1);
  const int32x4_t bias = vdupq_n_s32(127);
  const int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
  const int32x4_t second = vshlq_n_s32(vaddq_s32(vsubq_s32(exponent, half), bias), 23);
  return {vmulq_f32(vmulq_f32(a.v, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second))};
}

/// rows[i] lane j <-> rows[j] lane i.
DDSC_INLINE void transpose(F (&rows)[kWidth]) {
  const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(rows[0].v, rows[1].v));
  const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(rows[0].v, rows[1].v));
  const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(rows[2].v, rows[3].v));
  const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(rows[2].v, rows[3].v));
  rows[0].v = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  rows[1].v = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  rows[2].v = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  rows[3].v = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

}  // namespace ddsc::cpu::DDSC_ISA
