#pragma once
// The row of a gene's size in CountTable, by Stirling's series. Once for a CPU's vectors of doubles and a
// GPU's threads: Real is a double, or has + - * / with its own and with doubles, logarithm and logarithm1p.
// Forced inline as core/views.h says.
//
// The series is good from 8 on, so it is taken at r + 8: Gamma(x) is Gamma(x + 8) over the product of x to
// x + 7. Differences of large logarithms are taken as logarithms of ratios, log1p((x - y) / y), whose error
// is relative to themselves: a slope is r times such a difference of some 1 / r.

#include <math.h>

#include <cstdint>

#include "core/views.h"

namespace ddsc {

DDSC_INLINE double logarithm(double x) { return ::log(x); }
DDSC_INLINE double logarithm1p(double x) { return ::log1p(x); }

/// How far a size is moved up before its series is taken.
inline constexpr int kGammaShift = 8;
/// Values from this middle on have the series at their own place.
inline constexpr double kFarMiddle = 64;
/// Terms of the series: what is left out is below 1e-16 from 8 on, and from 64 on.
inline constexpr int kNearTerms = 8, kFarTerms = 3;

/// lgamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + gamma, psi(x) = log x - digamma.
template <class Real>
struct StirlingSeries {
  Real gamma, digamma;
};

/// Of x = 1 / y: Bernoulli's numbers over 2 j (2 j - 1), times y^(2 j - 1); the digamma's terms are the
/// derivatives.
template <int terms, class Real>
DDSC_INLINE StirlingSeries<Real> stirling(Real y) {
  constexpr double kTerms[kNearTerms] = {1.0 / 12,   -1.0 / 360,       1.0 / 1260, -1.0 / 1680,
                                         1.0 / 1188, -691.0 / 360'360, 1.0 / 156,  -3617.0 / 122'400};
  const Real square = y * y;
  Real gamma = square * kTerms[terms - 1], digamma = square * ((2 * terms - 1) * kTerms[terms - 1]);
  for (int j = terms - 2; j > 0; --j) {
    gamma = (gamma + kTerms[j]) * square;
    digamma = (digamma + (2 * j + 1) * kTerms[j]) * square;
  }
  return {(gamma + kTerms[0]) * y, (digamma + kTerms[0]) * square + y * 0.5};
}

/// Of x: log(x (x + 1) .. (x + 7)), and 1 / x + 1 / (x + 1) + .. + 1 / (x + 7).
template <class Real>
struct ShiftDown {
  Real logProduct, reciprocals;

  DDSC_INLINE explicit ShiftDown(Real x) {
    Real product = x, derivative = x * 0.0 + 1.0;
    for (int i = 1; i < kGammaShift; ++i) {
      const Real factor = x + static_cast<double>(i);
      derivative = derivative * factor + product;
      product = product * factor;
    }
    logProduct = logarithm(product);
    reciprocals = derivative / product;
  }
};

/// Of a value: lgamma(middle + size) - lgamma(size) and its derivative by log size.
template <class Real>
struct GammaDifference {
  Real difference, slope;
};

/// What all values of a size share.
template <class Real>
struct SizeRow {
  Real size, perPoint, logPoint;  // 1 / (size + 8), log(size + 8)
  StirlingSeries<Real> atPoint;
  ShiftDown<Real> down;

  DDSC_INLINE explicit SizeRow(Real r)
      : size(r),
        perPoint(1.0 / (r + static_cast<double>(kGammaShift))),
        logPoint(logarithm(r + static_cast<double>(kGammaShift))),
        atPoint(stirling<kNearTerms>(perPoint)),
        down(r) {}

  /// Of any middle.
  DDSC_INLINE GammaDifference<Real> near(Real middle) const {
    const Real x = size + middle, above = logarithm1p(middle * perPoint);
    const StirlingSeries<Real> at = stirling<kNearTerms>(1.0 / (x + static_cast<double>(kGammaShift)));
    const ShiftDown<Real> ofX(x);
    return {(x + (kGammaShift - 0.5)) * above + middle * (logPoint - 1.0) + (at.gamma - atPoint.gamma) -
                (ofX.logProduct - down.logProduct),
            size * (above - (at.digamma - atPoint.digamma) - (ofX.reciprocals - down.reciprocals))};
  }
  /// Of a middle from kFarMiddle on.
  DDSC_INLINE GammaDifference<Real> far(Real middle) const {
    const Real x = size + middle, distance = middle - static_cast<double>(kGammaShift);
    const Real above = logarithm1p(distance * perPoint);
    const StirlingSeries<Real> at = stirling<kFarTerms>(1.0 / x);
    return {(x - 0.5) * above + distance * (logPoint - 1.0) + (at.gamma - atPoint.gamma) + down.logProduct,
            size * (above - (at.digamma - atPoint.digamma) + down.reciprocals)};
  }
};

}  // namespace ddsc
