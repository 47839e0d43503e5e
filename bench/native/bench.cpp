#include "bench/native/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

namespace ddsc::bench {

std::vector<Case>& cases() {
  static std::vector<Case> registered;
  return registered;
}

Registration::Registration(std::string name, std::function<void(const Context&)> run) {
  cases().push_back({std::move(name), std::move(run)});
}

void Context::measure(const Work& work, const std::function<void()>& body, const std::string& part) const {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t minimumCalls = 3;
  body();
  std::vector<double> seconds;
  double total = 0;
  while (total < settings_.seconds || seconds.size() < minimumCalls) {
    const auto start = Clock::now();
    body();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += seconds.back();
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  const double median = *middle / work.calls;
  const double gigaflops = work.flops / median * 1e-9;
  const double gigabytes = work.bytes / median * 1e-9;

  const std::string label = part.empty() ? name_ : name_ + ", " + part;
  if (settings_.json) {
    std::printf(R"({"name":"%s","milliseconds":%.6g,"gflops":%.6g,"gigabytesPerSecond":%.6g,"calls":%zu})"
                "\n",
                label.c_str(), median * 1e3, gigaflops, gigabytes, seconds.size());
  } else {
    std::printf("%-64s %10.3f ms", label.c_str(), median * 1e3);
    if (work.flops > 0) std::printf(" %9.1f GFLOP/s", gigaflops);
    if (work.bytes > 0) std::printf(" %8.1f GB/s", gigabytes);
    std::printf("\n");
  }
  std::fflush(stdout);
}

}  // namespace ddsc::bench
