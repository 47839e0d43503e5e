// What the device can do at most: multiply-adds in registers on the plain and on the matrix units, and memory
// bandwidth of a large copy. Timed on the host around enough work that the launch does not count.

#include <chrono>

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kBlocksEach = 8;  // a multiprocessor
constexpr int kChains = 8;

/// Independent chains of multiply-adds; the result is written so that none is left out.
DDSC_KERNEL(kRowThreads) chainFloat(Global<float> out, float factor, int rounds) {
  float sums[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) sums[i] = static_cast<float>(threadIndex() + i);
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) sums[i] = fusedMultiplyAdd(sums[i], factor, factor);
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) total += sums[i];
  out[threadOfGrid()] = total;
}

DDSC_KERNEL(kRowThreads) chainBf16(Global<float> out, int rounds) {
  float sums[kChains][4] = {};
  const auto bits = static_cast<std::uint32_t>(threadIndex());
  const std::uint32_t a[4] = {bits, bits, bits, bits};
  for (int round = 0; round < rounds; ++round) {
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

/// How much of work(amount) is done in a second, for an amount that takes some time, or the most.
template <class Work>
double amountPerSecond(Stream& stream, std::int64_t least, std::int64_t most, const Work& work) {
  constexpr double kLongEnough = 1e-3;
  for (std::int64_t amount = least;; amount *= 2) {
    const double seconds = secondsOf(stream, [&] { work(amount); });
    if (seconds >= kLongEnough || amount >= most) return static_cast<double>(amount) / seconds;
  }
}

}  // namespace

Limits measureLimits(Context& context, int multiprocessors) {
  constexpr std::int64_t kMostRounds = std::int64_t{1} << 20;
  const std::int64_t blocks = std::int64_t{kBlocksEach} * multiprocessors, threads = blocks * kRowThreads;
  const LaunchShape shape{.x = blocks, .threads = kRowThreads};
  const Global<float> out{context.scratch.take<float>(threads), threads};
  const double floats = amountPerSecond(context.stream, 1, kMostRounds, [&](std::int64_t rounds) {
    launch<chainFloat>(context.stream, "limits", shape, out, 0.5f, static_cast<int>(rounds));
  });
  const double matrices = amountPerSecond(context.stream, 1, kMostRounds, [&](std::int64_t rounds) {
    launch<chainBf16>(context.stream, "limits", shape, out, static_cast<int>(rounds));
  });
  constexpr std::int64_t kLeastBytes = std::int64_t{1} << 20, kMostBytes = std::int64_t{256} << 20;
  std::int64_t filled = 0;  // so many bytes are values
  const double copied = amountPerSecond(context.stream, kLeastBytes, kMostBytes, [&](std::int64_t bytes) {
    auto* memory = context.scratch.take<std::byte>(2 * bytes);
    if (bytes > filled) context.stream.fillZero(memory, static_cast<std::size_t>(bytes));
    filled = bytes;
    context.stream.copyOnDevice(memory + bytes, memory, static_cast<std::size_t>(bytes));
  });
  const double each = 2.0 * kChains;
  return {.floatFlops = each * static_cast<double>(threads) * floats,
          .bf16Flops = each * 16 * 8 * 16 * static_cast<double>(threads / kWarpSize) * matrices,
          .bytes = 2 * copied};
}

}  // namespace ddsc::cuda
