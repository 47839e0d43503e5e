#pragma once
// The vectors of simd.h on any processor, through the compiler's vector extensions: SSE2 on x86-64, NEON on
// arm64.

#include "core/views.h"

namespace ddsc::cpu::DDSC_ISA {

inline constexpr std::int64_t kWidth = 4;

using FloatLanes = float __attribute__((vector_size(16)));
using IntLanes = std::int32_t __attribute__((vector_size(16)));
using UnsignedLanes = std::uint32_t __attribute__((vector_size(16)));

struct F {
  FloatLanes v;
};
struct I {
  UnsignedLanes v;
};
struct M {
  IntLanes v;
};

DDSC_INLINE F zero() { return {FloatLanes{0, 0, 0, 0}}; }
DDSC_INLINE F set1(float a) { return {FloatLanes{a, a, a, a}}; }
DDSC_INLINE F operator+(F a, F b) { return {a.v + b.v}; }
DDSC_INLINE F operator-(F a, F b) { return {a.v - b.v}; }
DDSC_INLINE F operator*(F a, F b) { return {a.v * b.v}; }
DDSC_INLINE F operator/(F a, F b) { return {a.v / b.v}; }
/// Fused where the processor does so in one instruction, else rounded twice.
DDSC_INLINE F fma(F a, F b, F c) {
#ifdef __FP_FAST_FMAF
  return {FloatLanes{__builtin_fmaf(a.v[0], b.v[0], c.v[0]), __builtin_fmaf(a.v[1], b.v[1], c.v[1]),
                     __builtin_fmaf(a.v[2], b.v[2], c.v[2]), __builtin_fmaf(a.v[3], b.v[3], c.v[3])}};
#else
  return {a.v * b.v + c.v};
#endif
}
DDSC_INLINE F fnma(F a, F b, F c) { return fma(F{-a.v}, b, c); }
DDSC_INLINE F fmaOf(const float* a, F b, F c) { return fma(set1(*a), b, c); }
DDSC_INLINE F min(F a, F b) { return {a.v < b.v ? a.v : b.v}; }
DDSC_INLINE F max(F a, F b) { return {a.v > b.v ? a.v : b.v}; }

DDSC_INLINE M operator<(F a, F b) { return {a.v < b.v}; }
DDSC_INLINE M operator<=(F a, F b) { return {a.v <= b.v}; }
DDSC_INLINE M operator==(F a, F b) { return {a.v == b.v}; }
DDSC_INLINE M operator&(M a, M b) { return {a.v & b.v}; }
DDSC_INLINE M operator|(M a, M b) { return {a.v | b.v}; }
DDSC_INLINE bool any(M a) { return (a.v[0] | a.v[1] | a.v[2] | a.v[3]) != 0; }
DDSC_INLINE F select(M m, F a, F b) { return {m.v ? a.v : b.v}; }

DDSC_INLINE I setInt(std::uint32_t a) { return {UnsignedLanes{a, a, a, a}}; }
DDSC_INLINE I iota() { return {UnsignedLanes{0, 1, 2, 3}}; }
DDSC_INLINE I operator+(I a, I b) { return {a.v + b.v}; }
DDSC_INLINE I operator-(I a, I b) { return {a.v - b.v}; }
DDSC_INLINE I operator*(I a, I b) { return {a.v * b.v}; }
DDSC_INLINE I operator&(I a, I b) { return {a.v & b.v}; }
DDSC_INLINE I operator|(I a, I b) { return {a.v | b.v}; }
DDSC_INLINE I operator^(I a, I b) { return {a.v ^ b.v}; }
template <int bits>
DDSC_INLINE I shiftLeft(I a) {
  return {a.v << bits};
}
template <int bits>
DDSC_INLINE I shiftRight(I a) {
  return {a.v >> bits};
}
DDSC_INLINE I mulHigh(I a, I b) {
  I high;
  for (int lane = 0; lane < kWidth; ++lane)
    high.v[lane] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(a.v[lane]) * b.v[lane] >> 32);
  return high;
}
DDSC_INLINE M lessUnsigned(I a, I b) { return {a.v < b.v}; }
DDSC_INLINE M operator==(I a, I b) { return {a.v == b.v}; }
DDSC_INLINE I select(M m, I a, I b) { return {m.v ? a.v : b.v}; }
DDSC_INLINE I bitsOf(F a) { return {__builtin_bit_cast(UnsignedLanes, a.v)}; }
DDSC_INLINE F fromBits(I a) { return {__builtin_bit_cast(FloatLanes, a.v)}; }
DDSC_INLINE F toFloat(I a) {
  return {__builtin_convertvector(__builtin_bit_cast(IntLanes, a.v), FloatLanes)};
}
/// 1 / a, for a and 1 / a normal.
DDSC_INLINE F reciprocal(F a) { return set1(1.0f) / a; }
DDSC_INLINE F abs(F a) { return fromBits(bitsOf(a) & setInt(0x7FFFFFFFu)); }
DDSC_INLINE F sqrt(F a) {
  return {FloatLanes{__builtin_sqrtf(a.v[0]), __builtin_sqrtf(a.v[1]), __builtin_sqrtf(a.v[2]),
                     __builtin_sqrtf(a.v[3])}};
}

/// The first `count` elements of lanes from memory, the others 0; and back. A count of all lanes, the common
/// case, must not become a call of memcpy.
template <class Element>
DDSC_INLINE void copyLanes(void* to, const void* from, std::int64_t count) {
  if (count == kWidth) {
    __builtin_memcpy(to, from, sizeof(Element) * kWidth);
  } else {
    __builtin_memcpy(to, from, sizeof(Element) * static_cast<std::size_t>(count));
  }
}
DDSC_INLINE F load(const float* p, std::int64_t count) {
  F a = zero();
  copyLanes<float>(&a.v, p, count);
  return a;
}
DDSC_INLINE void store(float* p, F a, std::int64_t count) { copyLanes<float>(p, &a.v, count); }
DDSC_INLINE I load(const std::int32_t* p, std::int64_t count) {
  I a = setInt(0);
  copyLanes<std::int32_t>(&a.v, p, count);
  return a;
}
DDSC_INLINE void store(std::int32_t* p, I a, std::int64_t count) { copyLanes<std::int32_t>(p, &a.v, count); }
DDSC_INLINE F load(const float* p) { return load(p, kWidth); }
DDSC_INLINE void store(float* p, F a) { store(p, a, kWidth); }
/// Where vectors are wide enough, past the caches; here as any store.
DDSC_INLINE void stream(float* p, F a) { store(p, a); }
DDSC_INLINE I load(const std::int32_t* p) { return load(p, kWidth); }
DDSC_INLINE void store(std::int32_t* p, I a) { store(p, a, kWidth); }
DDSC_INLINE M firstLanes(std::int64_t count) {
  return lessUnsigned(iota(), setInt(static_cast<std::uint32_t>(count)));
}

DDSC_INLINE F load(const bf16* p, std::int64_t count) {
  std::uint16_t halves[kWidth] = {};
  copyLanes<bf16>(halves, p, count);
  return fromBits(shiftLeft<16>(I{UnsignedLanes{halves[0], halves[1], halves[2], halves[3]}}));
}
DDSC_INLINE F load(const bf16* p) { return load(p, kWidth); }
/// Stores the upper half of each lane.
DDSC_INLINE void storeUpper(bf16* p, I a, std::int64_t count) {
  std::uint16_t halves[kWidth];
  for (int lane = 0; lane < kWidth; ++lane) halves[lane] = static_cast<std::uint16_t>(a.v[lane] >> 16);
  copyLanes<bf16>(p, halves, count);
}
DDSC_INLINE void storeUpper(bf16* p, I a) { storeUpper(p, a, kWidth); }
DDSC_INLINE void streamUpper(bf16* p, I a) { storeUpper(p, a); }

DDSC_INLINE float sum(F a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
DDSC_INLINE float maximum(F a) {
  const float even = a.v[0] > a.v[2] ? a.v[0] : a.v[2];
  const float odd = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return even > odd ? even : odd;
}

/// a * 2^n for whole n in -250 .. 250, right down to denormals and up to infinity: in two steps, as one
/// factor alone may not be a normal number.
DDSC_INLINE F scaleByPowerOfTwo(F a, F n) {
  // Adding 1.5 * 2^23 leaves the whole number in the low bits.
  const FloatLanes shifted = n.v + 12582912.0f;
  const IntLanes exponent = __builtin_bit_cast(IntLanes, shifted) - 0x4B400000;
  const IntLanes half = exponent >> 1;
  const IntLanes first = (half + 127) << 23;
  const IntLanes second = (exponent - half + 127) << 23;
  return {a.v * __builtin_bit_cast(FloatLanes, first) * __builtin_bit_cast(FloatLanes, second)};
}

/// rows[i] lane j <-> rows[j] lane i.
DDSC_INLINE void transpose(F (&rows)[kWidth]) {
  const FloatLanes a = rows[0].v, b = rows[1].v, c = rows[2].v, d = rows[3].v;
  for (int lane = 0; lane < kWidth; ++lane) rows[lane].v = FloatLanes{a[lane], b[lane], c[lane], d[lane]};
}

}  // namespace ddsc::cpu::DDSC_ISA
