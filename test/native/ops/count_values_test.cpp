// The values of counts. No backend has a part in it.
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

DDSC_TEST("what no gene changes of a value is its bin's log width over the factorial of its middle") {
  const CountValues counts;
  for (std::int32_t value = 0; value < counts.values(); ++value) {
    const long double k = counts.middle()[value];
    checkClose(counts.fixed()[value], static_cast<double>(counts.logWidth()[value] - std::lgamma(k + 1)),
               1e-15 * static_cast<double>(std::lgamma(k + 2)));
  }
  checkClose(counts.fixed()[3], -std::log(6.0), 1e-15);
}

}  // namespace
}  // namespace ddsc::test
