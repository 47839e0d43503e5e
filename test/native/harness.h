/// Registration and checks of the conformance executable. A test is
///
///   DDSC_TEST("a cell of one token attends to itself alone") {
///     test::checkClose(actual, expected, 1e-6);
///   }
///
/// at namespace scope. A failed check throws and ends its test; the executable reports every test and exits
/// non-zero if one failed. Checks belong on the thread that runs the test.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ddsc::test {

/// When a test runs: where it stands, or after all others, of which it says something. The latter is left out
/// where a filter leaves out others.
enum class Turn { own, last };

/// One registered test: its sentence, the file it stands in (base name, no extension) and its body.
struct Case {
  std::string name;
  std::string_view file;
  std::function<void()> run;
  Turn turn = Turn::own;
};

/// Every test of the executable, in the order of registration.
std::vector<Case>& cases();

/// Registers a test when constructed; made by DDSC_TEST, or directly in a loop over parameters.
struct Registration {
  Registration(std::string name, std::function<void()> run,
               std::source_location where = std::source_location::current(), Turn turn = Turn::own);
};

/// Thrown by a check that does not hold.
class Failure : public std::runtime_error {
 public:
  Failure(const std::string& message, const std::source_location& where);
};

/// Thrown by skip(): the machine lacks what the test needs.
class Skipped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ends the test as skipped, for example where the processor lacks an instruction set.
[[noreturn]] void skip(const std::string& reason);

/// Fails with `message` unless `condition` holds.
void check(bool condition, std::string_view message,
           std::source_location where = std::source_location::current());

/// Fails unless `actual == expected`; both are printed.
template <typename A, typename B>
  requires std::equality_comparable_with<A, B>
void checkEqual(const A& actual, const B& expected,
                std::source_location where = std::source_location::current()) {
  if (actual == expected) return;
  std::ostringstream message;
  message << "is " << actual << ", expected " << expected;
  throw Failure(message.str(), where);
}

/// Fails unless |actual - expected| <= tolerance; a NaN fails.
void checkClose(double actual, double expected, double tolerance,
                std::source_location where = std::source_location::current());

/// Fails unless the lengths agree and every |actual[i] - expected[i]| <= tolerance; names the worst index.
void checkClose(std::span<const float> actual, std::span<const float> expected, double tolerance,
                std::source_location where = std::source_location::current());

/// ||actual - expected|| / ||expected|| in the 2-norm, accumulated in double; the numerator alone where the
/// denominator is 0. Throws std::invalid_argument unless the lengths agree.
double relativeError(std::span<const float> actual, std::span<const float> expected);

/// Fails unless relativeError(actual, expected) <= tolerance; a NaN fails.
void checkRelative(std::span<const float> actual, std::span<const float> expected, double tolerance,
                   std::source_location where = std::source_location::current());

/// Fails unless both hold the same bits: NaN equals itself and +0 differs from -0.
void checkSameBits(std::span<const float> actual, std::span<const float> expected,
                   std::source_location where = std::source_location::current());

/// Fails unless `body` throws an `Exception` whose message contains `fragment`.
template <std::derived_from<std::exception> Exception, std::invocable Body>
void checkThrows(Body&& body, std::string_view fragment = "",
                 std::source_location where = std::source_location::current()) {
  try {
    body();
  } catch (const Exception& error) {
    if (std::string_view(error.what()).find(fragment) != std::string_view::npos) return;
    throw Failure("threw \"" + std::string(error.what()) + "\", expected a message with \"" +
                      std::string(fragment) + "\"",
                  where);
  }
  throw Failure("did not throw", where);
}

}  // namespace ddsc::test

#define DDSC_TEST_JOIN_(a, b) a##b
#define DDSC_TEST_JOIN(a, b) DDSC_TEST_JOIN_(a, b)

/// Registers the block that follows as a test of this name.
#define DDSC_TEST(name)                                                                   \
  static void DDSC_TEST_JOIN(ddscTestBody, __LINE__)();                                   \
  static const ::ddsc::test::Registration DDSC_TEST_JOIN(ddscTestRegistration, __LINE__)( \
      name, &DDSC_TEST_JOIN(ddscTestBody, __LINE__));                                     \
  static void DDSC_TEST_JOIN(ddscTestBody, __LINE__)()
