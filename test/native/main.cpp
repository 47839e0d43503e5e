/// ddsc_conformance [--filter TEXT] [--except TEXT]... [--jobs N] [--list]: runs the tests whose "file: name"
/// contains the first TEXT and none of the others, N at a time, each in one of N processes. Exit code 0 if
/// all passed, 1 if one failed or none ran, 2 for a usage error.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "test/native/harness.h"

namespace {

using ddsc::test::Case;

/// How the tests that have run ended, and the next to run; in memory that all processes of this run share.
struct Progress {
  std::atomic<std::size_t> next = 0;
  std::atomic<int> passed = 0;
  std::atomic<int> failed = 0;
  std::atomic<int> skipped = 0;
};

Progress& sharedProgress() {
  void* memory = mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  return *new (memory) Progress;
}

std::string labelOf(const Case& test) { return std::string(test.file) + ": " + test.name; }

void runCase(const Case& test, Progress& progress) {
  const std::string label = labelOf(test);
  const auto start = std::chrono::steady_clock::now();
  try {
    test.run();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    std::printf("ok    %s (%.0f ms)\n", label.c_str(), elapsed.count());
    ++progress.passed;
  } catch (const ddsc::test::Skipped& skipped) {
    std::printf("skip  %s (%s)\n", label.c_str(), skipped.what());
    ++progress.skipped;
  } catch (const std::exception& error) {
    std::printf("FAIL  %s\n      %s\n", label.c_str(), error.what());
    ++progress.failed;
  }
  // A crash in the next test must not take this line with it.
  std::fflush(stdout);
}

void runNext(const std::vector<const Case*>& cases, Progress& progress) {
  for (std::size_t i = progress.next++; i < cases.size(); i = progress.next++) runCase(*cases[i], progress);
}

/// Runs the cases in so many processes, each of which takes the next as soon as it is done with one.
void runIn(int jobs, const std::vector<const Case*>& cases, Progress& progress) {
  std::vector<pid_t> children;
  for (int job = 0; job < jobs; ++job) {
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
      runNext(cases, progress);
      // With what runs at exit: sanitizers look for leaks there.
      std::exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    std::printf("FAIL  a process that ran tests ended with status %d\n", status);
    ++progress.failed;
  }
}

struct Options {
  std::string_view filter;
  std::vector<std::string_view> exceptions;
  int jobs = 1;
  bool list = false;

  /// False for a usage error.
  bool read(int argumentCount, char** arguments) {
    for (int i = 1; i < argumentCount; ++i) {
      const std::string_view argument = arguments[i];
      if (argument == "--list") {
        list = true;
        continue;
      }
      if (i + 1 == argumentCount) return false;
      const std::string_view value = arguments[++i];
      if (argument == "--filter") {
        filter = value;
      } else if (argument == "--except") {
        exceptions.push_back(value);
      } else if (argument == "--jobs") {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), jobs);
        if (error != std::errc() || end != value.data() + value.size() || jobs < 1) return false;
      } else {
        return false;
      }
    }
    return true;
  }

  bool isWanted(const Case& test) const {
    const std::string label = labelOf(test);
    const auto isPart = [&label](std::string_view text) { return label.find(text) != std::string::npos; };
    return isPart(filter) && std::none_of(exceptions.begin(), exceptions.end(), isPart);
  }
};

}  // namespace

int main(int argumentCount, char** arguments) {
  Options options;
  if (!options.read(argumentCount, arguments)) {
    std::fprintf(stderr, "usage: ddsc_conformance [--filter TEXT] [--except TEXT]... [--jobs N] [--list]\n");
    return 2;
  }

  std::vector<const Case*> inTurn;
  std::vector<const Case*> last;
  const bool all = options.filter.empty() && options.exceptions.empty();
  for (const Case& test : ddsc::test::cases()) {
    if (!options.isWanted(test)) continue;
    if (test.turn == ddsc::test::Turn::own) {
      inTurn.push_back(&test);
    } else if (all) {
      last.push_back(&test);
    }
  }
  if (options.list) {
    for (const auto* cases : {&inTurn, &last})
      for (const Case* test : *cases) std::printf("%s\n", labelOf(*test).c_str());
    return 0;
  }

  Progress& progress = sharedProgress();
  if (options.jobs == 1) {
    runNext(inTurn, progress);
  } else {
    runIn(options.jobs, inTurn, progress);
  }
  for (const Case* test : last) runCase(*test, progress);
  std::printf("%d passed, %d failed, %d skipped\n", progress.passed.load(), progress.failed.load(),
              progress.skipped.load());
  return progress.failed == 0 && progress.passed > 0 ? 0 : 1;
}
