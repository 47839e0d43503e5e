#include "bench/peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string_view>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/dispatch.h"
#include "cpu/thread_pool.h"

namespace ddsc::bench {
namespace {

constexpr std::int64_t kSteps = 1'000'000;

/// Independent sums in flight, enough to hide the latency of a multiply-add.
constexpr int kChains = 12;

using Lanes = float __attribute__((vector_size(16)));

float chainsGeneric() {
  const Lanes factor = {0.999f, 0.999f, 0.999f, 0.999f}, term = {0.001f, 0.001f, 0.001f, 0.001f};
  Lanes sums[kChains];
  for (Lanes& sum : sums) sum = term;
  for (std::int64_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
    for (Lanes& sum : sums) sum = sum * factor + term;
  for (int i = 1; i < kChains; ++i) sums[0] += sums[i];
  return sums[0][0];
}

#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] float chainsAvx2() {
  const __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  __m256 sums[kChains];
  for (__m256& sum : sums) sum = term;
  for (std::int64_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, factor, term);
  for (int i = 1; i < kChains; ++i) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}

[[gnu::target("avx512f")]] float chainsAvx512() {
  const __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = term;
  for (std::int64_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, factor, term);
  for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}
#endif

struct Loop {
  float (*run)();
  int lanes;
};

Loop loopOf(std::string_view instructionSet) {
#if defined(__x86_64__)
  if (instructionSet == "avx512") return {chainsAvx512, 16};
  if (instructionSet == "avx2") return {chainsAvx2, 8};
#endif
  static_cast<void>(instructionSet);
  return {chainsGeneric, 4};
}

/// Seconds of the fastest of a few calls: what else runs on the machine only ever slows one down. On one
/// thread in processor time, which leaves out what the system gave to others meanwhile.
double fastest(const std::function<void()>& body, int threads) {
  constexpr int calls = 7;
  const auto now = [threads] {
    if (threads == 1) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  double best = 1e300;
  for (int call = 0; call < calls; ++call) {
    const double start = now();
    body();
    best = std::min(best, now() - start);
  }
  return best;
}

}  // namespace

void measureAgainstPeak(const Context& context, double flops, const std::function<void()>& body,
                        const std::string& part) {
  context.measure({.flops = flops}, body, part);
  const Loop loop = loopOf(cpu::chooseInstructionSet("").name);
  cpu::ThreadPool pool(context.settings().threads);
  volatile float sink = 0;
  const auto peak = [&] {
    pool.parallel(pool.threads(), [&](std::int64_t index, int) {
      const float result = loop.run();
      if (index == 0) sink = result;
    });
  };
  const double peakFlops = 2.0 * kChains * static_cast<double>(kSteps) * loop.lanes * pool.threads() /
                           fastest(peak, pool.threads());
  const double rate = flops / fastest(body, pool.threads());
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
