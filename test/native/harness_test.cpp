// A check that cannot fail would let every other test pass.

#include <array>
#include <limits>

#include "test/native/harness.h"

namespace {

using namespace ddsc::test;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Body>
void checkFails(Body&& body, std::string_view fragment) {
  checkThrows<Failure>(body, fragment);
}

DDSC_TEST("a check fails where its condition does not hold") {
  check(true, "holds");
  checkFails([] { check(false, "reason"); }, "reason");
  checkFails([] { checkEqual(1, 2); }, "is 1, expected 2");
  checkEqual(2, 2);
}

DDSC_TEST("closeness fails past its tolerance, for NaN, and for lengths that differ") {
  const std::array<float, 3> expected{1, 2, kInfinity};
  const std::array<float, 3> near{1, 2.25f, kInfinity};
  const std::array<float, 3> broken{1, kNan, kInfinity};
  checkClose(near, expected, 0.25);
  checkFails([&] { checkClose(near, expected, 0.125); }, "element 1 is 2.25, expected 2");
  checkFails([&] { checkClose(broken, expected, 1e9); }, "element 1 is nan");
  checkFails([&] { checkClose(expected, std::span(expected).first(2), 1); }, "has 3 elements, expected 2");
  checkClose(1.0, 1.5, 0.5);
  checkFails([] { checkClose(1.0, 1.5, 0.25); }, "is 1, expected 1.5");
  checkFails([] { checkClose(static_cast<double>(kNan), 1.0, 1e9); }, "is nan");
}

DDSC_TEST("the relative error is the 2-norm of the difference over that of the expected values") {
  const std::array<float, 2> expected{3, 4};
  const std::array<float, 2> actual{3, 5};
  const std::array<float, 2> broken{3, kNan};
  checkClose(relativeError(actual, expected), 0.2, 1e-12);
  checkRelative(actual, expected, 0.21);
  checkFails([&] { checkRelative(actual, expected, 0.19); }, "relative error is 0.2");
  checkFails([&] { checkRelative(broken, expected, 1e9); }, "relative error is nan");
}

DDSC_TEST("bits tell zeros of either sign apart and let NaN equal itself") {
  const std::array<float, 2> zeros{0.0f, kNan};
  const std::array<float, 2> negative{-0.0f, kNan};
  checkSameBits(zeros, zeros);
  checkFails([&] { checkSameBits(negative, zeros); }, "element 0");
}

DDSC_TEST("an expected exception that is not thrown, or says something else, fails") {
  checkFails([] { checkThrows<std::runtime_error>([] {}); }, "did not throw");
  checkFails([] { checkThrows<std::runtime_error>([] { throw std::runtime_error("other"); }, "this"); },
             "expected a message with \"this\"");
}

}  // namespace
