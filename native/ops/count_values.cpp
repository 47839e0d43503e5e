#include "ops/count_values.h"

#include <math.h>  // lgamma_r is POSIX's, not in <cmath>

#include <algorithm>
#include <cstddef>

#include "core/errors.h"

namespace ddsc {

namespace {

/// std::lgamma writes its sign to a global.
double logGamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

}  // namespace

CountValues::CountValues(std::int32_t exact, std::int32_t perOctave, std::int32_t top) {
  constexpr std::int32_t kMostTop = 1 << 28, kMostPerOctave = 64;  // bounds stay below 2^31
  require(exact >= 1 && exact <= top && top <= kMostTop && perOctave >= 1 && perOctave <= kMostPerOctave,
          "BAD_COUNT_VALUES", "values of counts need 1 <= exact <= top <= 2^28 and 1 to 64 bins an octave");
  for (std::int32_t count = 0; count <= exact; ++count) bounds_.push_back(count);
  for (int bin = 1; bounds_.back() < top; ++bin) {
    const auto edge = static_cast<std::int32_t>(
        std::ceil(exact * std::exp2(static_cast<double>(bin) / static_cast<double>(perOctave))));
    if (edge > bounds_.back()) bounds_.push_back(edge);
  }
  const std::int32_t last = bounds_.back();
  bounds_.push_back(last + (last - bounds_[bounds_.size() - 2]) + 1);
  for (std::size_t i = 0; i + 1 < bounds_.size(); ++i) {
    const std::int32_t low = bounds_[i], high = bounds_[i + 1] - 1;
    high_.push_back(high);
    middle_.push_back((static_cast<double>(low) + static_cast<double>(high)) / 2);
    logWidth_.push_back(std::log(static_cast<double>(high - low + 1)));
    fixed_.push_back(logWidth_.back() - logGamma(middle_.back() + 1));
  }
}

std::int32_t CountValues::valueOf(std::int64_t count) const {
  const auto last = bounds_.end() - 1;  // it only bounds the last value
  return static_cast<std::int32_t>(std::upper_bound(bounds_.begin(), last, count) - bounds_.begin()) - 1;
}

}  // namespace ddsc
