#include "test/native/harness.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

namespace ddsc::test {
namespace {

std::string_view baseName(std::string_view path) {
  if (const auto slash = path.find_last_of('/'); slash != std::string_view::npos)
    path.remove_prefix(slash + 1);
  if (const auto dot = path.find_last_of('.'); dot != std::string_view::npos) path = path.substr(0, dot);
  return path;
}

void checkSameLength(std::span<const float> actual, std::span<const float> expected,
                     const std::source_location& where) {
  if (actual.size() == expected.size()) return;
  throw Failure(
      "has " + std::to_string(actual.size()) + " elements, expected " + std::to_string(expected.size()),
      where);
}

/// Nine significant digits, which tell any two floats apart.
std::string show(double value) {
  std::ostringstream text;
  text.precision(9);
  text << value;
  return text.str();
}

}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> registered;
  return registered;
}

Registration::Registration(std::string name, std::function<void()> run, std::source_location where,
                           Turn turn) {
  cases().push_back({std::move(name), baseName(where.file_name()), std::move(run), turn});
}

Failure::Failure(const std::string& message, const std::source_location& where)
    : std::runtime_error(std::string(baseName(where.file_name())) + ":" + std::to_string(where.line()) +
                         ": " + message) {}

void skip(const std::string& reason) { throw Skipped(reason); }

void check(bool condition, std::string_view message, std::source_location where) {
  if (!condition) throw Failure(std::string(message), where);
}

void checkClose(double actual, double expected, double tolerance, std::source_location where) {
  if (actual == expected || std::abs(actual - expected) <= tolerance) return;
  throw Failure("is " + show(actual) + ", expected " + show(expected) + " within " + show(tolerance), where);
}

void checkClose(std::span<const float> actual, std::span<const float> expected, double tolerance,
                std::source_location where) {
  checkSameLength(actual, expected, where);
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (actual[i] == expected[i]) continue;
    const double difference = std::abs(static_cast<double>(actual[i]) - static_cast<double>(expected[i]));
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
    }
    if (std::isnan(difference)) break;
  }
  if (worst <= tolerance) return;
  throw Failure("element " + std::to_string(at) + " is " + show(actual[at]) + ", expected " +
                    show(expected[at]) + " within " + show(tolerance),
                where);
}

double relativeError(std::span<const float> actual, std::span<const float> expected) {
  if (actual.size() != expected.size()) throw std::invalid_argument("relativeError: lengths differ");
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double e = expected[i];
    const double d = static_cast<double>(actual[i]) - e;
    difference += d * d;
    norm += e * e;
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

void checkRelative(std::span<const float> actual, std::span<const float> expected, double tolerance,
                   std::source_location where) {
  checkSameLength(actual, expected, where);
  const double error = relativeError(actual, expected);
  if (error <= tolerance) return;
  throw Failure("relative error is " + show(error) + ", allowed " + show(tolerance), where);
}

void checkSameBits(std::span<const float> actual, std::span<const float> expected,
                   std::source_location where) {
  checkSameLength(actual, expected, where);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::bit_cast<std::uint32_t>(actual[i]) == std::bit_cast<std::uint32_t>(expected[i])) continue;
    throw Failure("element " + std::to_string(i) + " is " + show(actual[i]) + ", expected the bits of " +
                      show(expected[i]),
                  where);
  }
}

}  // namespace ddsc::test
