// The values of counts and the table of their negative binomials. No backend has a part in it.
#include "ops/count_values.h"

#include <cmath>
#include <string>

#include "core/errors.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("counts below 64 are values of their own, and the bins above reach 2^20 in eighths of octaves") {
  const CountValues counts;
  checkEqual(counts.values(), 177);
  for (std::int32_t value = 0; value < 64; ++value) {
    checkEqual(counts.low()[value], value);
    checkEqual(counts.high()[value], value);
    checkClose(counts.middle()[value], value, 0);
    checkClose(counts.logWidth()[value], 0, 0);
  }
  // ceil(64 * 2^(1 / 8)) = ceil(69.79), ceil(64 * 2^(2 / 8)) = ceil(76.11).
  checkEqual(counts.low()[64], 64);
  checkEqual(counts.low()[65], 70);
  checkEqual(counts.high()[65], 76);
  checkClose(counts.middle()[65], 73, 0);
  checkClose(counts.logWidth()[65], std::log(7.0), 1e-15);
  for (std::int32_t octave = 0; octave <= 14; ++octave)
    checkEqual(counts.low()[64 + 8 * octave], 64 << octave);
  const std::int32_t last = counts.low()[176], before = counts.low()[175];
  checkEqual(last, 1 << 20);
  checkEqual(counts.high()[176], last + (last - before));
  checkEqual(counts.bounds()[177], counts.high()[176] + 1);
}

DDSC_TEST("every count has the value whose bin holds it, those beyond the last bin the last") {
  for (const CountValues& counts : {CountValues(), CountValues(1, 3, 1000), CountValues(7, 1, 7)}) {
    checkEqual(counts.low()[0], 0);
    for (std::int32_t value = 0; value < counts.values(); ++value) {
      check(counts.low()[value] <= counts.high()[value], "an empty bin");
      checkEqual(counts.valueOf(counts.low()[value]), value);
      checkEqual(counts.valueOf(counts.high()[value]), value);
      if (value > 0) checkEqual(counts.low()[value], counts.high()[value - 1] + 1);
    }
    checkEqual(counts.valueOf(std::int64_t{1} << 40), counts.values() - 1);
  }
}

DDSC_TEST("values of counts refuse what would not be ascending bins") {
  checkThrows<Error>([] { CountValues(0, 8, 1 << 20); }, "exact");
  checkThrows<Error>([] { CountValues(64, 0, 1 << 20); }, "octave");
  checkThrows<Error>([] { CountValues(64, 8, 63); }, "top");
}

/// log of the negative binomial's probability of k without its mean's part, by products of the definition:
/// Gamma(k + r) / (Gamma(r) k!) = product over i < k of (r + i) / (i + 1).
double logCoefficient(double size, std::int32_t k) {
  long double sum = 0;
  for (std::int32_t i = 0; i < k; ++i)
    sum += std::log((static_cast<long double>(size) + i) / (static_cast<long double>(i) + 1));
  return static_cast<double>(sum);
}

DDSC_TEST("the table holds the negative binomial's coefficients, for sizes from 0.01 to 100") {
  const CountValues counts;
  const std::vector<double> size = {0.01, 0.3, 1, 7.5, 100};
  const std::vector<double> table = countTable(counts, {size.data(), 5});
  checkEqual(table.size(), std::size_t{5 * 177});
  for (std::size_t gene = 0; gene < size.size(); ++gene)
    for (std::int32_t value = 0; value < counts.values(); ++value) {
      const double middle = counts.middle()[value];
      if (middle > 70'000 || std::floor(middle) < middle) continue;  // products of whole counts
      const double expected =
          logCoefficient(size[gene], static_cast<std::int32_t>(middle)) + counts.logWidth()[value];
      checkClose(table[gene * 177 + static_cast<std::size_t>(value)], expected, 1e-9);
    }
  for (std::size_t gene = 0; gene < size.size(); ++gene) checkClose(table[gene * 177], 0, 0);
}

DDSC_TEST("no gene has an empty table") { checkEqual(countTable(CountValues(), {}).size(), std::size_t{0}); }

}  // namespace
}  // namespace ddsc::test
