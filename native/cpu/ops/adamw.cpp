// The optimizer's two sweeps over every parameter: the gradient's sum of squares, then AdamW, the moving
// average, the bf16 copy and the cleared gradient at once, so that each array crosses the memory interface
// once a step.

#include <math.h>

#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kElementsPerTask = 1 << 14;

using FloatEight = float __attribute__((vector_size(32)));
using DoubleEight = double __attribute__((vector_size(64)));

/// Sum of squares of one chunk in float64: sixteen running sums, added in a fixed order, then the tail.
double squaresOf(const float* values, std::int64_t count) {
  DoubleEight even{}, odd{};
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    FloatEight a, b;
    __builtin_memcpy(&a, values + i, sizeof(a));
    __builtin_memcpy(&b, values + i + 8, sizeof(b));
    const DoubleEight wideA = __builtin_convertvector(a, DoubleEight);
    const DoubleEight wideB = __builtin_convertvector(b, DoubleEight);
    even += wideA * wideA;
    odd += wideB * wideB;
  }
  const DoubleEight both = even + odd;
  double total = 0;
  for (int lane = 0; lane < 8; ++lane) total += both[lane];
  for (; i < count; ++i) total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return total;
}

/// The step's constants, rounded to float32 where PyTorch's kernels take them so.
struct Constants {
  F gradientScale, keepWeight, firstRate, beta2, secondRate, rootCorrection, epsilon, negativeStep, emaRate;
};

Constants constantsOf(const AdamW& op) {
  const auto step = static_cast<double>(op.step);
  const double correction1 = 1 - ::pow(op.beta1, step);
  const double correction2 = 1 - ::pow(op.beta2, step);
  const auto lanes = [](double value) { return set1(static_cast<float>(value)); };
  return {.gradientScale = lanes(clipping(op.squares[0], op.maxNorm)),
          .keepWeight = lanes(1 - op.learningRate * op.weightDecay),
          .firstRate = lanes(1 - op.beta1),
          .beta2 = lanes(op.beta2),
          .secondRate = lanes(1 - op.beta2),
          .rootCorrection = lanes(::sqrt(correction2)),
          .epsilon = lanes(op.epsilon),
          .negativeStep = lanes(-op.learningRate / correction1),
          .emaRate = lanes(1 - op.emaDecay)};
}

template <class Lanes>
void moveAverage(float* at, F weight, F rate, Lanes lanes) {
  const F ema = load(at, lanes);
  store(at, ema - rate * (ema - weight), lanes);
}

/// Elements first .. last - 1; without fused multiply-add, so that every instruction set gives the same
/// weights.
template <bool withEma, bool withCopy>
void updateChunk(const AdamW& op, const Constants& c, std::int64_t first, std::int64_t last) {
  eachVector(last - first, [&](std::int64_t offset, auto lanes) {
    const std::int64_t i = first + offset;
    const F gradient = load(op.gradient.data + i, lanes) * c.gradientScale;
    F moment = load(op.firstMoment.data + i, lanes);
    moment = moment + c.firstRate * (gradient - moment);
    const F square = load(op.secondMoment.data + i, lanes) * c.beta2 + c.secondRate * gradient * gradient;
    const F denominator = sqrt(square) / c.rootCorrection + c.epsilon;
    const F weight = load(op.weights.data + i, lanes) * c.keepWeight + c.negativeStep * moment / denominator;
    store(op.firstMoment.data + i, moment, lanes);
    store(op.secondMoment.data + i, square, lanes);
    store(op.weights.data + i, weight, lanes);
    store(op.gradient.data + i, zero(), lanes);
    if constexpr (withEma) moveAverage(op.ema.data + i, weight, c.emaRate, lanes);
    if constexpr (withCopy) store(op.copy.data + i, weight, lanes);
  });
}

template <bool withEma, bool withCopy>
void update(Context& context, const AdamW& op) {
  const Constants constants = constantsOf(op);
  parallelChunks(context, op.weights.size, kElementsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    updateChunk<withEma, withCopy>(op, constants, first, last);
  });
}

template <bool withCopy>
void follow(Context& context, const FollowWeights& op) {
  const F rate = set1(static_cast<float>(1 - op.emaDecay));
  parallelChunks(context, op.weights.size, kElementsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    eachVector(last - first, [&](std::int64_t offset, auto lanes) {
      const std::int64_t i = first + offset;
      const F weight = load(op.weights.data + i, lanes);
      moveAverage(op.ema.data + i, weight, rate, lanes);
      if constexpr (withCopy) store(op.copy.data + i, weight, lanes);
      store(op.gradient.data + i, zero(), lanes);
    });
  });
}

}  // namespace

void run(Context& context, const SumOfSquares& op) {
  const std::int64_t chunks = ceilDivide(op.values.size, kElementsPerTask);
  auto* partial =
      static_cast<double*>(context.scratch.shared(static_cast<std::size_t>(chunks) * sizeof(double)));
  parallelChunks(context, op.values.size, kElementsPerTask, [&](std::int64_t first, std::int64_t last, int) {
    partial[first / kElementsPerTask] = squaresOf(op.values.data + first, last - first);
  });
  double total = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += partial[chunk];
  op.result[0] = total;
}

void run(Context& context, const AdamW& op) {
  if (!__builtin_isfinite(op.squares[0])) return;
  if (op.ema && op.copy) {
    update<true, true>(context, op);
  } else if (op.ema) {
    update<true, false>(context, op);
  } else if (op.copy) {
    update<false, true>(context, op);
  } else {
    update<false, false>(context, op);
  }
}

void run(Context& context, const FollowWeights& op) {
  if (!__builtin_isfinite(op.squares[0])) return;
  if (op.copy) {
    follow<true>(context, op);
  } else {
    follow<false>(context, op);
  }
}

}  // namespace ddsc::cpu::DDSC_ISA
