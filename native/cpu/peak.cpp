#include "cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <memory>

#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu/simd/tiles.h"
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "cpu/memory.h"

namespace ddsc::cpu {
namespace {

constexpr std::int64_t kSteps = 1'000'000;

/// Independent sums in flight, enough to hide the latency of a multiply-add.
constexpr int kChains = 12;

#if defined(__aarch64__)
/// Generic kernels and those for NEON alike multiply and add in one instruction.
float chainsGeneric() {
  const float32x4_t factor = vdupq_n_f32(0.999f), term = vdupq_n_f32(0.001f);
  float32x4_t sums[kChains];
  for (float32x4_t& sum : sums) sum = term;
  for (std::int64_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
    for (float32x4_t& sum : sums) sum = vfmaq_f32(term, sum, factor);
  for (int i = 1; i < kChains; ++i) sums[0] = vaddq_f32(sums[0], sums[i]);
  return vgetq_lane_f32(sums[0], 0);
}
#else
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
#endif

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

[[gnu::target("avx512f,avx512bf16")]] float chainsAvx512Bf16() {
  const auto factor = (__m512bh)_mm512_set1_ps(0.999f), term = (__m512bh)_mm512_set1_ps(0.001f);
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::int64_t step = 0; step < kSteps; ++step)
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, factor, term);
  for (int i = 1; i < kChains; ++i) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}

constexpr std::int64_t kTileCalls = 100'000;
constexpr int kTileProducts = 4;

[[gnu::target("amx-tile,amx-bf16")]] float tileProducts() {
  alignas(64) float result[generic::kTileRegisterRows][generic::kTileRegisterBytes / sizeof(float)] = {};
  const generic::TileSession session;
  generic::tileLoad<4>(result, generic::kTileRegisterBytes);
  generic::tileLoad<5>(result, generic::kTileRegisterBytes);
  generic::tileZero<0>();
  generic::tileZero<1>();
  generic::tileZero<2>();
  generic::tileZero<3>();
  for (std::int64_t call = 0; call < kTileCalls; ++call) {
    generic::tileMultiply<0, 4, 5>();
    generic::tileMultiply<1, 4, 5>();
    generic::tileMultiply<2, 4, 5>();
    generic::tileMultiply<3, 4, 5>();
  }
  generic::tileStore<0>(result, generic::kTileRegisterBytes);
  return result[0][0];
}
#endif

struct Loop {
  float (*run)();
  double flops;  // of a call
};

Loop vectorLoop(float (*run)(), int productsAStep) {
  return {run, 2.0 * kChains * static_cast<double>(kSteps) * productsAStep};
}

/// Without units of their own, bf16 operands are widened to float32 before they are multiplied.
Loop loopOf(std::string_view instructionSet, DType operands) {
#if defined(__x86_64__)
  if (operands == DType::bf16 && instructionSet == "amx")
    return {tileProducts, 2.0 * 16 * 16 * 32 * kTileProducts * static_cast<double>(kTileCalls)};
  if (operands == DType::bf16 && instructionSet == "avx512_bf16") return vectorLoop(chainsAvx512Bf16, 32);
  if (instructionSet.starts_with("avx512") || instructionSet.starts_with("amx"))
    return vectorLoop(chainsAvx512, 16);
  if (instructionSet == "avx2") return vectorLoop(chainsAvx2, 8);
#endif
  static_cast<void>(instructionSet);
  static_cast<void>(operands);
  return vectorLoop(chainsGeneric, 4);
}

/// One part a thread, of memory that is released with it.
struct Released {
  void operator()(std::uint64_t* memory) const { releaseAligned(memory); }
};
using Words = std::unique_ptr<std::uint64_t, Released>;

}  // namespace

double fastestSeconds(const std::function<void()>& body, int threads) {
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

double peakFlops(std::string_view instructionSet, DType operands, ThreadPool& pool) {
  const Loop loop = loopOf(instructionSet, operands);
  volatile float sink = 0;
  const auto body = [&] {
    pool.parallel(pool.threads(), [&](std::int64_t index, int) {
      const float result = loop.run();
      if (index == 0) sink = result;
    });
  };
  return loop.flops * pool.threads() / fastestSeconds(body, pool.threads());
}

double peakBandwidth(ThreadPool& pool) {
  constexpr std::int64_t count = std::int64_t{16} << 20;  // 128 MiB
  constexpr std::size_t bytes = static_cast<std::size_t>(count) * sizeof(std::uint64_t);
  const Words from(static_cast<std::uint64_t*>(allocateAligned(bytes)));
  const Words to(static_cast<std::uint64_t*>(allocateAligned(bytes)));
  const auto onParts = [&pool](const auto& part) {
    const std::int64_t parts = pool.threads();
    pool.parallel(parts, [&](std::int64_t index, int) {
      const std::int64_t first = count * index / parts;
      part(first, count * (index + 1) / parts - first);
    });
  };
  // Pages are there once they have been written.
  onParts([&](std::int64_t first, std::int64_t words) {
    std::memset(from.get() + first, 1, static_cast<std::size_t>(words) * sizeof(std::uint64_t));
    std::memset(to.get() + first, 2, static_cast<std::size_t>(words) * sizeof(std::uint64_t));
  });
  std::atomic<std::uint64_t> sink{0};
  const auto read = [&] {
    onParts([&](std::int64_t first, std::int64_t words) {
      std::uint64_t sum = 0;
      for (std::int64_t i = first; i < first + words; ++i) sum += from.get()[i];
      sink.fetch_add(sum, std::memory_order_relaxed);
    });
  };
  const auto copy = [&] {
    onParts([&](std::int64_t first, std::int64_t words) {
      std::memcpy(to.get() + first, from.get() + first,
                  static_cast<std::size_t>(words) * sizeof(std::uint64_t));
    });
  };
  const double size = static_cast<double>(bytes);
  return std::max(size / fastestSeconds(read, pool.threads()),
                  2 * size / fastestSeconds(copy, pool.threads()));
}

}  // namespace ddsc::cpu
