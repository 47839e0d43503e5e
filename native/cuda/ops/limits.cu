// What the device can do at most: multiply-adds in registers on the plain and on the matrix units, and memory
// bandwidth of a large copy. Timed on the host around enough work that the launch does not count.

#include <chrono>

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kBlocks = 1024, kRounds = 512, kChains = 8;

/// Independent chains of multiply-adds; the result is written so that none is left out.
DDSC_KERNEL(kRowThreads) chainFloat(Global<float> out, float factor) {
  float sums[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) sums[i] = static_cast<float>(threadIndex() + i);
  for (int round = 0; round < kRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) sums[i] = fusedMultiplyAdd(sums[i], factor, factor);
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) total += sums[i];
  out[threadOfGrid()] = total;
}

DDSC_KERNEL(kRowThreads) chainBf16(Global<float> out) {
  float sums[kChains][4] = {};
  const auto bits = static_cast<std::uint32_t>(threadIndex());
  const std::uint32_t a[4] = {bits, bits, bits, bits};
  for (int round = 0; round < kRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) multiplyAccumulate(sums[i], a, bits, bits);
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) total += sums[i][0] + sums[i][1] + sums[i][2] + sums[i][3];
  out[threadOfGrid()] = total;
}

/// Best of three, in seconds, after one to warm up.
template <class Work>
double secondsOf(Stream& stream, const Work& work) {
  double best = 1e30;
  for (int i = 0; i < 4; ++i) {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    work();
    stream.synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (i > 0 && elapsed.count() < best) best = elapsed.count();
  }
  return best;
}

}  // namespace

Limits measureLimits(Context& context) {
  constexpr std::int64_t kCopyBytes = std::int64_t{256} << 20;
  auto* memory = context.scratch.take<std::byte>(2 * kCopyBytes);
  const Global<float> out{reinterpret_cast<float*>(memory), std::int64_t{kBlocks} * kRowThreads};
  const LaunchShape shape{.x = kBlocks, .threads = kRowThreads};
  const double threads = static_cast<double>(kBlocks) * kRowThreads,
               chains = static_cast<double>(kRounds) * kChains;
  const double floats =
      secondsOf(context.stream, [&] { launch(context.stream, "limits", chainFloat, shape, out, 0.5f); });
  const double matrices =
      secondsOf(context.stream, [&] { launch(context.stream, "limits", chainBf16, shape, out); });
  const double copy = secondsOf(context.stream, [&] {
    context.stream.copyOnDevice(memory + kCopyBytes, memory, static_cast<std::size_t>(kCopyBytes));
  });
  return {.floatFlops = 2 * threads * chains / floats,
          .bf16Flops = 2.0 * 16 * 8 * 16 * (threads / kWarpSize) * chains / matrices,
          .bytes = 2 * static_cast<double>(kCopyBytes) / copy};
}

}  // namespace ddsc::cuda
