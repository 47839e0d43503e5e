#pragma once
// Vectors of double, by the compiler's own vector types: sums, differences, products, quotients and
// comparisons alone, none contracted, so that every instruction set has the same bits. Rows of doubles are
// worked on in blocks of eight, what the widest vectors hold, whatever the instruction set: a sum keeps eight
// interleaved sums, so that its order is the same everywhere. For files of cpu/ops/ only (compiled once per
// instruction set).

#include <cstdint>

#include "core/views.h"

#ifndef DDSC_ISA
#define DDSC_ISA generic  // for editors and single-file checks
#endif

namespace ddsc::cpu::DDSC_ISA {

/// Doubles of a block, and of a vector.
inline constexpr std::int64_t kBlock = 8;
#if defined(__AVX512F__)
inline constexpr std::int64_t kDoubles = 8;
#elif defined(__AVX2__)
inline constexpr std::int64_t kDoubles = 4;
#else
inline constexpr std::int64_t kDoubles = 2;
#endif

using DoubleVector [[gnu::vector_size(kDoubles * sizeof(double))]] = double;
using FloatVector [[gnu::vector_size(kDoubles * sizeof(float))]] = float;
using BitsVector [[gnu::vector_size(kDoubles * sizeof(std::uint64_t))]] = std::uint64_t;

struct D {
  DoubleVector v;
};

DDSC_INLINE D allOf(double a) { return {a - DoubleVector{}}; }
DDSC_INLINE D operator+(D a, D b) { return {a.v + b.v}; }
DDSC_INLINE D operator-(D a, D b) { return {a.v - b.v}; }
DDSC_INLINE D operator*(D a, D b) { return {a.v * b.v}; }
DDSC_INLINE D operator/(D a, D b) { return {a.v / b.v}; }
DDSC_INLINE D operator+(D a, double b) { return {a.v + b}; }
DDSC_INLINE D operator-(D a, double b) { return {a.v - b}; }
DDSC_INLINE D operator*(D a, double b) { return {a.v * b}; }
DDSC_INLINE D operator/(double a, D b) { return {a / b.v}; }
/// a where x < y, b elsewhere.
DDSC_INLINE D ifLess(D x, D y, D a, D b) { return {x.v < y.v ? a.v : b.v}; }

DDSC_INLINE D loadDoubles(const double* p) {
  D d;
  __builtin_memcpy(&d, p, sizeof d);
  return d;
}
DDSC_INLINE void storeDoubles(double* p, D d) { __builtin_memcpy(p, &d, sizeof d); }
/// Floats, widened and rounded.
DDSC_INLINE D loadDoubles(const float* p) {
  FloatVector f;
  __builtin_memcpy(&f, p, sizeof f);
  return {__builtin_convertvector(f, DoubleVector)};
}
DDSC_INLINE void storeDoubles(float* p, D d) {
  const FloatVector f = __builtin_convertvector(d.v, FloatVector);
  __builtin_memcpy(p, &f, sizeof f);
}

/// e^x for x <= 0 within 2 ulp; 0 below -708; NaN stays. x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts
/// of which the first times n is exact; e^r by its series to the twelfth power, the next below 2^-52.
DDSC_INLINE D exponential(D x) {
  const D lowest = allOf(-708.0);
  const D held = ifLess(x, lowest, lowest, x);
  // Adding 1.5 * 2^52 rounds to a whole number n and leaves it in the lowest bits.
  const D shift = allOf(6755399441055744.0);
  const D shifted = held * allOf(1.4426950408889634) + shift;
  const D n = shifted - shift;
  const D r = (held - n * allOf(6.93147180369123816490e-01)) - n * allOf(1.90821492927058770002e-10);
  constexpr double kFactorials[] = {39916800, 3628800, 362880, 40320, 5040, 720, 120, 24, 6, 2};
  D p = allOf(1.0 / 479001600);
  for (const double factorial : kFactorials) p = p * r + allOf(1 / factorial);
  p = (p * (r * r) + r) + allOf(1.0);
  BitsVector bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023u) << 52u;
  D power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return ifLess(x, lowest, allOf(0.0), p * power);
}

/// A positive number as 2^exponent fraction, fraction from sqrt(1/2) on and below sqrt(2).
struct Scaled {
  D exponent, fraction;
};
DDSC_INLINE Scaled scaled(D x) {
  constexpr std::uint64_t kOne = 0x3FF0000000000000, kRootHalf = 0x3FE6A09E00000000;
  constexpr std::uint64_t kMantissa = 0x000FFFFFFFFFFFFF;
  constexpr double kTwo52 = 4503599627370496;  // a whole number in the lowest bits of its own
  BitsVector bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  bits += kOne - kRootHalf;
  const BitsVector whole = (bits >> 52u) | 0x4330000000000000;
  bits = (bits & kMantissa) + kRootHalf;
  Scaled s;
  __builtin_memcpy(&s.exponent, &whole, sizeof whole);
  s.exponent = s.exponent - (kTwo52 + 1023);
  __builtin_memcpy(&s.fraction, &bits, sizeof bits);
  return s;
}

/// exponent ln 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2): log(1 + f) = 2 atanh(q) with q = f / (2 + f), by
/// its series to q^19, the next below 2^-55, as f - f^2 / 2 and a small rest.
DDSC_INLINE D logarithmOfScaled(D exponent, D f) {
  const D q = f / (f + 2.0), square = q * q, half = f * f * 0.5;
  D rest = square * (2.0 / 19);
  for (int power = 17; power > 1; power -= 2) rest = (rest + 2.0 / power) * square;
  const D small = q * (half + rest) + exponent * 1.90821492927058770002e-10;
  return exponent * 6.93147180369123816490e-01 + (f - (half - small));
}

/// log x within 2 ulp, x a positive normal number.
DDSC_INLINE D logarithm(D x) {
  const Scaled s = scaled(x);
  return logarithmOfScaled(s.exponent, s.fraction - 1.0);
}

/// log(1 + x) within 2 ulp, x >= 0 and finite.
DDSC_INLINE D logarithm1p(D x) {
  const Scaled s = scaled(x + 1.0);
  return logarithmOfScaled(s.exponent, ifLess(s.exponent, allOf(0.5), x, s.fraction - 1.0));
}

/// Doubles that make whole blocks.
DDSC_INLINE std::int64_t wholeBlocks(std::int64_t count) { return (count + kBlock - 1) / kBlock * kBlock; }

/// body(i) for i = 0, kDoubles, 2 kDoubles, ... < count, a multiple of kBlock.
template <class Body>
DDSC_INLINE void eachDoubles(std::int64_t count, const Body& body) {
  for (std::int64_t i = 0; i < count; i += kBlock)
    for (std::int64_t part = 0; part < kBlock; part += kDoubles) body(i + part);
}

/// Of term(i), the doubles from i on, for i below count, a multiple of kBlock: the sum.
template <class Term>
DDSC_INLINE double sumOfDoubles(std::int64_t count, const Term& term) {
  D sums[kBlock / kDoubles];
  for (D& sum : sums) sum = allOf(0);
  for (std::int64_t i = 0; i < count; i += kBlock)
    for (std::int64_t part = 0; part < kBlock / kDoubles; ++part)
      sums[part] = sums[part] + term(i + part * kDoubles);
  double s[kBlock];
  __builtin_memcpy(s, sums, sizeof s);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/// The largest of so many doubles, a multiple of kBlock; what is NaN is passed over.
DDSC_INLINE double largestOf(const double* values, std::int64_t count) {
  D largest[kBlock / kDoubles];
  for (D& one : largest) one = allOf(-__builtin_inf());
  for (std::int64_t i = 0; i < count; i += kBlock)
    for (std::int64_t part = 0; part < kBlock / kDoubles; ++part) {
      const D other = loadDoubles(values + i + part * kDoubles);
      largest[part] = ifLess(largest[part], other, other, largest[part]);
    }
  double lanes[kBlock];
  __builtin_memcpy(lanes, largest, sizeof lanes);
  double result = lanes[0];
  for (const double lane : lanes) result = lane > result ? lane : result;
  return result;
}

}  // namespace ddsc::cpu::DDSC_ISA
