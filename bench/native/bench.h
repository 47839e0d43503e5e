/// Registration and measurement of the benchmark executable. A case lives in its own file:
///
///   DDSC_BENCH("linear forward 4096 x 512 x 2048") {
///     context.measure({.flops = 2.0 * 4096 * 512 * 2048}, [&] { op(...); });
///   }
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace ddsc::bench {

/// What is measured, for the rates printed; 0 leaves a rate out.
struct Work {
  double flops = 0;  // floating-point operations
  double bytes = 0;  // bytes that must cross the memory interface at least once
  double calls = 1;  // times that the measured function does it when called
};

/// What the command line asks for.
struct Settings {
  double seconds = 0.5;  // measuring time of a case, after one call to warm up
  int threads = 0;       // 0: as many as the machine offers
  bool json = false;     // one JSON object a line in place of the table
};

/// Given to each case: the settings, and how to time.
class Context {
 public:
  Context(std::string name, const Settings& settings) : name_(std::move(name)), settings_(settings) {}

  const Settings& settings() const { return settings_; }

  /// Calls `body` for settings().seconds, at least three times, and prints the median with its rates. `part`
  /// tells several measurements of one case apart.
  void measure(const Work& work, const std::function<void()>& body, const std::string& part = "") const;

 private:
  std::string name_;
  Settings settings_;
};

/// One registered benchmark.
struct Case {
  std::string name;
  std::function<void(const Context&)> run;
};

/// Every benchmark of the executable, in the order of registration.
std::vector<Case>& cases();

/// Registers a benchmark when constructed; made by DDSC_BENCH, or directly in a loop over shapes.
struct Registration {
  Registration(std::string name, std::function<void(const Context&)> run);
};

}  // namespace ddsc::bench

#define DDSC_BENCH_JOIN_(a, b) a##b
#define DDSC_BENCH_JOIN(a, b) DDSC_BENCH_JOIN_(a, b)

/// Registers the block that follows, which sees `context`, as a benchmark of this name.
#define DDSC_BENCH(name)                                                                     \
  static void DDSC_BENCH_JOIN(ddscBenchBody, __LINE__)(const ::ddsc::bench::Context&);       \
  static const ::ddsc::bench::Registration DDSC_BENCH_JOIN(ddscBenchRegistration, __LINE__)( \
      name, &DDSC_BENCH_JOIN(ddscBenchBody, __LINE__));                                      \
  static void DDSC_BENCH_JOIN(ddscBenchBody, __LINE__)(const ::ddsc::bench::Context& context)
