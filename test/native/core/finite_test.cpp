#include "core/finite.h"

#include <cmath>
#include <vector>

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("the first value that is not finite is found wherever it is") {
  for (const std::int64_t size : {0, 1, 7, 1024, 1025, 5000}) {
    std::vector<float> values(static_cast<std::size_t>(size), 3.4e38f);
    const auto found = [&values, size] { return firstNotFinite({values.data(), size}); };
    checkEqual(found(), -1);
    for (const float bad : {std::nanf(""), -std::nanf(""), INFINITY, -INFINITY})
      for (std::int64_t place = 0; place < size; place += 1 + size / 5) {
        values[static_cast<std::size_t>(place)] = bad;
        values.back() = bad;
        checkEqual(found(), place);
        values[static_cast<std::size_t>(place)] = values.back() = -1e-45f;
      }
  }
}

}  // namespace
}  // namespace ddsc::test
