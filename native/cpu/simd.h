#pragma once
// Vectors of float and of 32-bit integers as wide as the instruction set has them, so that a kernel is
// written once. For files of cpu/ops/ only (compiled once per instruction set); everything is forced inline.
//
//   F, I, M                     kWidth floats; kWidth 32-bit integers (unsigned, wrap); a mask of lanes
//   load(p), store(p, v)        unaligned; p is float, bf16 (widened; rounded to nearest even) or int32
//   stream(p, v)                past the caches, p on a vector's boundary
//   load(p, n), store(p, v, n)  the first n lanes, 0 <= n <= kWidth, no other memory; others load as 0
//   zero set1 + - * / min max abs sqrt reciprocal   min and max return b if either is NaN
//   fma(a, b, c), fnma(a, b, c)          a b + c and c - a b, rounded once; fmaOf(p, b, c): *p b + c
//   < <= ==, & | of masks, any select firstLanes
//   setInt iota + - * & | ^ shiftLeft<n> shiftRight<n> mulHigh lessUnsigned ==
//   bitsOf fromBits toFloat(I, signed)
//   sum maximum                 over lanes, in a fixed order
//   transpose                   of kWidth vectors
//   exp exp2 log, and sigmoid, geluTanh, silu with their derivatives

#include <cstdint>

#include "core/bf16.h"
#include "core/views.h"

#ifndef DDSC_ISA
#define DDSC_ISA generic  // for editors and single-file checks
#endif

#if defined(__AVX512F__)
#include "cpu/simd/avx512.h"
#elif defined(__AVX2__)
#include "cpu/simd/avx2.h"
#elif defined(DDSC_NEON)
#include "cpu/simd/neon.h"
#else
#include "cpu/simd/generic.h"
#endif

namespace ddsc::cpu::DDSC_ISA {

using ddsc::toFloat;

/// Rounds to nearest even by integer arithmetic, so that every instruction set stores the same bits.
DDSC_INLINE I roundedToBf16(F a) {
  const I bits = bitsOf(a);
  const I rounded = bits + setInt(0x7FFFu) + (shiftRight<16>(bits) & setInt(1));
  return select(a == a, rounded, bits | setInt(0x400000u));
}
DDSC_INLINE void store(bf16* p, F a) { storeUpper(p, roundedToBf16(a)); }
DDSC_INLINE void store(bf16* p, F a, std::int64_t count) { storeUpper(p, roundedToBf16(a), count); }
DDSC_INLINE void stream(bf16* p, F a) { streamUpper(p, roundedToBf16(a)); }

/// a to the nearest whole number, ties to even, for |a| < 2^22.
DDSC_INLINE F roundToWhole(F a) {
  const F shift = set1(12582912.0f);  // 1.5 * 2^23
  return (a + shift) - shift;
}

/// e^x within 2 ulp; 0 at -inf (denormals kept), inf above 88.73; NaN stays.
/// x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts of which the first times n is exact; polynomial of
/// Cephes expf.
DDSC_INLINE F exp(F x) {
  x = min(set1(89.0f), max(set1(-104.0f), x));
  const F n = roundToWhole(x * set1(1.44269504088896341f));
  F r = fnma(n, set1(0.693359375f), x);
  r = fnma(n, set1(-2.12194440e-4f), r);
  F p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = fma(p * r, r, r) + set1(1.0f);
  return scaleByPowerOfTwo(p, n);
}

/// 2^x to 2^-22 of itself for x <= 127; 0 below -126.5; NaN stays. Cheaper than exp: no rounding of x log2(e)
/// to undo, no denormals.
DDSC_INLINE F exp2(F x) {
  x = max(set1(-127.0f), x);
  // Adding 1.5 * 2^23 + 127 rounds to a whole number n and leaves n + 127, the exponent of 2^n, in the low
  // bits.
  const F shift = set1(12583039.0f);
  const F shifted = x + shift;
  const F power = fromBits(shiftLeft<23>(bitsOf(shifted)));
  const F r = x - (shifted - shift);
  // 1 + r q(r), q the minimax polynomial of relative error on |r| <= 1 / 2.
  F p = set1(1.3264727e-3f);
  p = fma(p, r, set1(9.671513e-3f));
  p = fma(p, r, set1(5.5507336e-2f));
  p = fma(p, r, set1(2.4022242e-1f));
  p = fma(p, r, set1(6.931470e-1f));
  return fma(p, r, set1(1.0f)) * power;
}

/// Natural logarithm within 2 ulp for normal x > 0: x = 2^n m, m in sqrt(1 / 2) .. sqrt(2); polynomial of
/// Cephes logf.
DDSC_INLINE F log(F x) {
  const I root = setInt(0x3F3504F3u);  // sqrt(1 / 2)
  const I offset = bitsOf(x) - root + setInt(127u << 23);
  const F n = toFloat(shiftRight<23>(offset) - setInt(127));
  const F f = fromBits((offset & setInt(0x7FFFFFu)) + root) - set1(1.0f);
  F p = set1(7.0376836292e-2f);
  p = fma(p, f, set1(-1.1514610310e-1f));
  p = fma(p, f, set1(1.1676998740e-1f));
  p = fma(p, f, set1(-1.2420140846e-1f));
  p = fma(p, f, set1(1.4249322787e-1f));
  p = fma(p, f, set1(-1.6668057665e-1f));
  p = fma(p, f, set1(2.0000714765e-1f));
  p = fma(p, f, set1(-2.4999993993e-1f));
  p = fma(p, f, set1(3.3333331174e-1f));
  const F square = f * f;
  p = fma(n, set1(-2.12194440e-4f), p * f * square);
  p = fnma(square, set1(0.5f), p);
  return fma(n, set1(0.693359375f), f + p);
}

/// 1 / (1 + e^-x).
DDSC_INLINE F sigmoid(F x) { return set1(1.0f) / (set1(1.0f) + exp(zero() - x)); }

/// sigmoid(x) and its derivative s (1 - s), which e^-|x| gives without the cancellation of 1 - s.
struct Logistic {
  F value, slope;
};
DDSC_INLINE Logistic logistic(F x) {
  const F e = exp(zero() - abs(x));
  const F r = set1(1.0f) / (set1(1.0f) + e);
  return {select(x < zero(), e * r, r), e * r * r};
}

/// x sigmoid(x).
DDSC_INLINE F silu(F x) { return x * sigmoid(x); }
DDSC_INLINE F siluDerivative(F x) {
  const Logistic s = logistic(x);
  return fma(x, s.slope, s.value);
}

/// x / 2 (1 + tanh u), u = sqrt(2 / pi) (x + 0.044715 x^3); since (1 + tanh u) / 2 = 1 / (1 + e^-2u),
/// x / (1 + 2^z) with z = -2 u log2(e).
DDSC_INLINE F geluPower(F x, F square) {
  const F z = x * fma(square, set1(-0.102943240f), set1(-2.30220820f));
  return exp2(min(set1(125.0f), z));
}
DDSC_INLINE F geluTanh(F x) { return x * reciprocal(set1(1.0f) + geluPower(x, x * x)); }
/// s + x s (1 - s) (2 u)' with s = 1 / (1 + 2^z) and 1 - s = 2^z s, free of cancellation.
DDSC_INLINE F geluTanhDerivative(F x) {
  const F square = x * x, power = geluPower(x, square);
  const F s = reciprocal(set1(1.0f) + power);
  const F twoUDerivative = fma(square, set1(0.2140644488178f), set1(1.5957691216057308f));
  return s * fma(x * twoUDerivative, power * s, set1(1.0f));
}

}  // namespace ddsc::cpu::DDSC_ISA
