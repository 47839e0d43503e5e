#pragma once
// Counts as values, the tokens of count models, and the part of their base that depends on no gene.

#include <cstdint>
#include <vector>

#include "core/views.h"

namespace ddsc {

/// Counts below `exact` are values of their own; above, a value stands for a bin of counts, `perOctave` bins
/// an octave, the last the first that starts at `top` or more. The last value stands for all counts from its
/// lowest on, and is treated as a bin one longer than the one before. By default 177 values: 0..63, then bins
/// from ceil(64 * 2^(j / 8)) on, up to 2^20.
class CountValues {
 public:
  /// Throws BAD_COUNT_VALUES unless 1 <= exact <= top <= 2^28 and 1 <= perOctave <= 64.
  explicit CountValues(std::int32_t exact = 64, std::int32_t perOctave = 8, std::int32_t top = 1 << 20);

  std::int32_t values() const { return static_cast<std::int32_t>(middle_.size()); }
  /// [values] lowest and highest count of each value.
  Span<const std::int32_t> low() const { return {bounds_.data(), values()}; }
  Span<const std::int32_t> high() const { return {high_.data(), values()}; }
  /// [values + 1] `low`, and one more than the last value's highest count.
  Span<const std::int32_t> bounds() const { return {bounds_.data(), values() + 1}; }
  /// [values] (low + high) / 2.
  Span<const double> middle() const { return {middle_.data(), values()}; }
  /// [values] log of how many counts a value stands for.
  Span<const double> logWidth() const { return {logWidth_.data(), values()}; }
  /// [values] logWidth - lgamma(middle + 1): of CountTable, what no gene changes.
  Span<const double> fixed() const { return {fixed_.data(), values()}; }
  /// The value that stands for `count`, which is at least 0.
  std::int32_t valueOf(std::int64_t count) const;

 private:
  std::vector<std::int32_t> bounds_, high_;
  std::vector<double> middle_, logWidth_, fixed_;
};

}  // namespace ddsc
