/// ddsc_conformance [--filter TEXT] [--except TEXT]... [--list]: runs the tests whose "file: name" contains
/// the first TEXT and none of the others. Exit code 0 if all passed, 1 if one failed or none ran, 2 for a
/// usage error.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "test/native/harness.h"

namespace {

enum class Outcome { passed, failed, skipped };

Outcome runCase(const ddsc::test::Case& test, const std::string& label) {
  const auto start = std::chrono::steady_clock::now();
  try {
    test.run();
  } catch (const ddsc::test::Skipped& skipped) {
    std::printf("skip  %s (%s)\n", label.c_str(), skipped.what());
    return Outcome::skipped;
  } catch (const std::exception& error) {
    std::printf("FAIL  %s\n      %s\n", label.c_str(), error.what());
    return Outcome::failed;
  }
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("ok    %s (%.0f ms)\n", label.c_str(), elapsed.count());
  return Outcome::passed;
}

}  // namespace

int main(int argumentCount, char** arguments) {
  std::string_view filter;
  std::vector<std::string_view> exceptions;
  bool list = false;
  for (int i = 1; i < argumentCount; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--list") {
      list = true;
    } else if (argument == "--filter" && i + 1 < argumentCount) {
      filter = arguments[++i];
    } else if (argument == "--except" && i + 1 < argumentCount) {
      exceptions.push_back(arguments[++i]);
    } else {
      std::fprintf(stderr, "usage: ddsc_conformance [--filter TEXT] [--except TEXT]... [--list]\n");
      return 2;
    }
  }

  int passed = 0;
  int failed = 0;
  int skipped = 0;
  std::vector<ddsc::test::Case>& cases = ddsc::test::cases();
  const auto inTurn = [](const ddsc::test::Case& test) { return test.turn == ddsc::test::Turn::own; };
  std::stable_partition(cases.begin(), cases.end(), inTurn);
  for (const ddsc::test::Case& test : cases) {
    const std::string label = std::string(test.file) + ": " + test.name;
    const auto isPart = [&label](std::string_view text) { return label.find(text) != std::string::npos; };
    if (!isPart(filter) || std::any_of(exceptions.begin(), exceptions.end(), isPart)) continue;
    if (!inTurn(test) && !(filter.empty() && exceptions.empty())) continue;
    if (list) {
      std::printf("%s\n", label.c_str());
      continue;
    }
    switch (runCase(test, label)) {
      case Outcome::passed: ++passed; break;
      case Outcome::failed: ++failed; break;
      case Outcome::skipped: ++skipped; break;
    }
    // A crash in the next test must not take this line with it.
    std::fflush(stdout);
  }
  if (list) return 0;
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 && passed > 0 ? 0 : 1;
}
