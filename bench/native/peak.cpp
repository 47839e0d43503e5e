#include "bench/native/peak.h"

#include <cstdio>

#include "cpu/dispatch.h"
#include "cpu/peak.h"

namespace ddsc::bench {

void measureAgainstPeak(const Context& context, double flops, const std::function<void()>& body,
                        const std::string& part, DType operands) {
  context.measure({.flops = flops}, body, part);
  cpu::ThreadPool pool(context.settings().threads);
  const double peakFlops = cpu::peakFlops(cpu::chooseInstructionSet("").name, operands, pool);
  const double rate = flops / cpu::fastestSeconds(body, pool.threads());
  if (context.settings().json) {
    std::printf(R"({"shareOfPeak":%.4g,"gflops":%.6g,"peakGflops":%.6g})"
                "\n",
                rate / peakFlops, rate * 1e-9, peakFlops * 1e-9);
  } else {
    std::printf("%64s %9.1f%% of the peak: best %.1f of %.1f GFLOP/s\n", "", 100 * rate / peakFlops,
                rate * 1e-9, peakFlops * 1e-9);
  }
}

}  // namespace ddsc::bench
