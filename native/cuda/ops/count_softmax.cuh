#pragma once
// Softmax over the values of counts, logits plus the base of CountBase, of a warp's row; float64. What a lane
// needs again it makes again: a row stays in the first-level cache.

#include "cuda/ops/elements.cuh"
#include "ops/count_base.h"

namespace ddsc::cuda {

/// CountBase, and the logits that it is added to.
struct CountInput {
  Rows<const float> logits;
  std::int64_t firstValue, values;
  Global<const double> middle, share, depth, sizes, table, slope;
  Global<const std::int32_t> gene, cell, place;
  Global<const float> tilt;
};

inline CountInput countInput(const ConstMatrix& logits, std::int64_t firstValue, const CountBase& base) {
  return {rowsOf<float>(logits), firstValue,           base.middle.size,     globalOf(base.middle),
          globalOf(base.share),  globalOf(base.depth), globalOf(base.sizes), globalOf(base.table),
          globalOf(base.slope),  globalOf(base.gene),  globalOf(base.cell),  globalOf(base.place),
          globalOf(base.tilt)};
}

/// A row's x, value by value.
struct CountRow {
  Global<const float> logits;  // of the values
  Global<const double> middle, table;
  RowBase base;
  std::int64_t values;

  DDSC_DEVICE CountRow(const CountInput& in, std::int64_t row)
      : logits{in.logits[row].data + in.firstValue, in.values},
        middle(in.middle),
        table{in.table.data + in.place[row] * in.values, in.values},
        base(rowBase(static_cast<double>(in.tilt[row]), in.depth[in.cell[row]] * in.share[in.gene[row]],
                     in.sizes[in.place[row]])),
        values(in.values) {}

  DDSC_DEVICE double x(std::int64_t value) const {
    return static_cast<double>(logits[value]) + base.at(table[value], middle[value]);
  }
  /// e^(x - maximum).
  DDSC_DEVICE double exponential(std::int64_t value, const CountSums& sums) const {
    return ::exp(x(value) - sums.maximum);
  }
};

/// body(value) for this lane's values.
template <class Body>
DDSC_DEVICE void eachValue(std::int64_t values, const Body& body) {
  for (std::int64_t value = laneIndex(); value < values; value += kWarpSize) body(value);
}

/// The warp's sums over its row, in every lane; the first of equally probable values is the best.
DDSC_DEVICE CountSums countSums(const CountRow& row) {
  double maximum = -INFINITY;
  int best = 0x7FFFFFFF;
  eachValue(row.values, [&](std::int64_t value) {
    const double x = row.x(value);
    if (x > maximum) {
      maximum = x;
      best = static_cast<int>(value);
    }
  });
#pragma unroll
  for (int mask = kWarpSize / 2; mask > 0; mask /= 2) {
    const double otherMaximum = shuffleXor(maximum, mask);
    const int otherBest = shuffleXor(best, mask);
    if (otherMaximum > maximum || (otherMaximum == maximum && otherBest < best)) {
      maximum = otherMaximum;
      best = otherBest;
    }
  }
  CountSums sums{maximum, best, 0};
  eachValue(row.values, [&](std::int64_t value) {
    if (value != sums.best) sums.rest += row.exponential(value, sums);
  });
  sums.rest = warpSum(sums.rest);
  return sums;
}

/// The warp's sum of e times term(value), in every lane.
template <class Term>
DDSC_DEVICE double sumOverValues(const CountRow& row, const CountSums& sums, const Term& term) {
  double sum = 0;
  eachValue(row.values, [&](std::int64_t value) { sum += row.exponential(value, sums) * term(value); });
  return warpSum(sum);
}

}  // namespace ddsc::cuda
