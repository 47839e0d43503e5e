// The optimizer's two sweeps over every parameter: the gradient's sum of squares, then AdamW, the moving
// average, the bf16 copy and the cleared gradient at once. Every operation is rounded by itself, as on the
// CPU: the same weights.

#include <cmath>

#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda {
namespace {

constexpr int kElementsPerBlock = 1 << 14;

constexpr std::size_t kSumBytes = 128;  // shared memory of `addUp`

/// Leaves the sum of what the block's threads bring at `to`: each warp's tree, then the warps in order.
DDSC_DEVICE void addUp(double sum, double& to) {
  sum = warpSum(sum);
  SharedMemory memory;
  const Shared<double> warps = memory.take<double>(kWarpsPerBlock);
  if (laneIndex() == 0) warps[warpIndex()] = sum;
  syncBlock();
  if (threadIndex() != 0) return;
  double total = 0;
  for (int warp = 0; warp < kWarpsPerBlock; ++warp) total += warps[warp];
  to = total;
}

/// A block's sum of squares in float64: a thread takes every 256th element.
DDSC_KERNEL(kRowThreads) sumSquares(Global<const float> values, Global<double> sums) {
  const std::int64_t first = static_cast<std::int64_t>(blockIndex().x) * kElementsPerBlock;
  const std::int64_t end = least(first + kElementsPerBlock, values.size);
  double sum = 0;
  for (std::int64_t i = first + threadIndex(); i < end; i += kRowThreads) {
    const auto value = static_cast<double>(values[i]);
    sum += value * value;
  }
  addUp(sum, sums[blockIndex().x]);
}

/// One block adds up the blocks' sums.
DDSC_KERNEL(kRowThreads) addSums(Global<const double> sums, Global<double> result) {
  double sum = 0;
  for (std::int64_t i = threadIndex(); i < sums.size; i += kRowThreads) sum += sums[i];
  addUp(sum, result[0]);
}

/// The step's constants, rounded to float32 where PyTorch's kernels take them so.
struct Constants {
  float keepWeight, firstRate, beta2, secondRate, rootCorrection, epsilon, negativeStep, emaRate;
  double maxNorm;

  static Constants of(const AdamW& op) {
    const auto step = static_cast<double>(op.step);
    const double correction1 = 1 - std::pow(op.beta1, step);
    const double correction2 = 1 - std::pow(op.beta2, step);
    return {static_cast<float>(1 - op.learningRate * op.weightDecay),
            static_cast<float>(1 - op.beta1),
            static_cast<float>(op.beta2),
            static_cast<float>(1 - op.beta2),
            static_cast<float>(std::sqrt(correction2)),
            static_cast<float>(op.epsilon),
            static_cast<float>(-op.learningRate / correction1),
            static_cast<float>(1 - op.emaDecay),
            op.maxNorm};
  }
};

struct Buffers {
  Global<float> weights, firstMoment, secondMoment, gradient, ema;
  Global<bf16> copy;
  Global<const double> squares;
};

DDSC_DEVICE float movedAverage(float ema, float weight, float rate) {
  return add(ema, -multiply(rate, add(ema, -weight)));
}

DDSC_KERNEL(kRowThreads) update(Buffers b, Constants c) {
  const double squares = b.squares[0];
  if (!(squares < static_cast<double>(INFINITY))) return;  // not finite: nothing changes
  // float64 is slow on most GPUs: once a block.
  SharedMemory memory;
  const Shared<float> shared = memory.take<float>(1);
  if (threadIndex() == 0) shared[0] = static_cast<float>(clipping(squares, c.maxNorm));
  syncBlock();
  const std::int64_t i = threadOfGrid();
  if (i >= b.weights.size) return;
  const float gradient = multiply(b.gradient[i], shared[0]);
  float moment = b.firstMoment[i];
  moment = add(moment, multiply(c.firstRate, add(gradient, -moment)));
  const float square =
      add(multiply(b.secondMoment[i], c.beta2), multiply(multiply(c.secondRate, gradient), gradient));
  const float denominator = add(divide(squareRoot(square), c.rootCorrection), c.epsilon);
  const float weight =
      add(multiply(b.weights[i], c.keepWeight), divide(multiply(c.negativeStep, moment), denominator));
  b.firstMoment[i] = moment;
  b.secondMoment[i] = square;
  b.weights[i] = weight;
  b.gradient[i] = 0.0f;
  if (b.ema.data != nullptr) b.ema[i] = movedAverage(b.ema[i], weight, c.emaRate);
  if (b.copy.data != nullptr) b.copy[i] = toBf16(weight);
}

/// What follows weights that another process has updated.
struct FollowBuffers {
  Global<const float> weights;
  Global<float> gradient, ema;
  Global<bf16> copy;
  Global<const double> squares;
};

DDSC_KERNEL(kRowThreads) follow(FollowBuffers b, float emaRate) {
  if (!(b.squares[0] < static_cast<double>(INFINITY))) return;  // not finite: nothing changes
  const std::int64_t i = threadOfGrid();
  if (i >= b.weights.size) return;
  const float weight = b.weights[i];
  b.ema[i] = movedAverage(b.ema[i], weight, emaRate);
  if (b.copy.data != nullptr) b.copy[i] = toBf16(weight);
  b.gradient[i] = 0.0f;
}

}  // namespace

void run(Context& context, const SumOfSquares& op) {
  const std::int64_t blocks = ceilDivide(op.values.size, kElementsPerBlock);
  const Global<double> sums{context.scratch.take<double>(blocks), blocks};
  launch<sumSquares>(context.stream, "sumOfSquares",
                     {.x = blocks, .threads = kRowThreads, .sharedBytes = kSumBytes}, globalOf(op.values),
                     sums);
  launch<addSums>(context.stream, "sumOfSquares", {.threads = kRowThreads, .sharedBytes = kSumBytes},
                  Global<const double>{sums.data, blocks}, globalOf(op.result));
}

void run(Context& context, const AdamW& op) {
  launch<update>(
      context.stream, "adamW",
      {.x = ceilDivide(op.weights.size, kRowThreads), .threads = kRowThreads, .sharedBytes = kSumBytes},
      Buffers{globalOf(op.weights), globalOf(op.firstMoment), globalOf(op.secondMoment),
              globalOf(op.gradient), globalOf(op.ema), globalOf(op.copy), globalOf(op.squares)},
      Constants::of(op));
}

void run(Context& context, const FollowWeights& op) {
  launch<follow>(context.stream, "followWeights",
                 {.x = ceilDivide(op.weights.size, kRowThreads), .threads = kRowThreads},
                 FollowBuffers{globalOf(op.weights), globalOf(op.gradient), globalOf(op.ema),
                               globalOf(op.copy), globalOf(op.squares)},
                 static_cast<float>(1 - op.emaDecay));
}

}  // namespace ddsc::cuda
