#include <cmath>
#include <vector>

#include "core/bf16.h"
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/instruction_sets.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// A model's parameters with everything the optimizer keeps of them.
struct State {
  std::vector<float> weights, first, second, gradient, ema;
  std::vector<bf16> copy;
  double squares = 4;  // said to be the gradient's, which is then clipped to half of its norm

  explicit State(std::int64_t count)
      : weights(randomValues(1, count)),
        first(static_cast<std::size_t>(count)),
        second(static_cast<std::size_t>(count)),
        gradient(static_cast<std::size_t>(count)),
        ema(randomValues(2, count)),
        copy(static_cast<std::size_t>(count)) {}
  void drawGradient(std::uint32_t step) {
    gradient = randomValues(100 + step, static_cast<std::int64_t>(gradient.size()), 0.01f);
  }
  AdamW op(std::int64_t step) {
    const auto spanOf = [](std::vector<float>& v) {
      return Span<float>{v.data(), static_cast<std::int64_t>(v.size())};
    };
    return {.weights = spanOf(weights),
            .firstMoment = spanOf(first),
            .secondMoment = spanOf(second),
            .gradient = spanOf(gradient),
            .ema = spanOf(ema),
            .copy = {copy.data(), static_cast<std::int64_t>(copy.size())},
            .squares = {&squares, 1},
            .learningRate = 1e-2,
            .weightDecay = 0.1,
            .emaDecay = 0.9,
            .maxNorm = 1 + 5e-7,
            .step = step};
  }
};

std::vector<double> doublesOf(const std::vector<float>& values) { return {values.begin(), values.end()}; }

const PerInstructionSet steps("five steps of AdamW and the moving average agree with float64",
                              [](Backend& backend, DType) {
                                for (const std::int64_t count : {0, 5, 31, 40'003}) {
                                  State state(count);
                                  std::vector<double> weights = doublesOf(state.weights),
                                                      ema = doublesOf(state.ema);
                                  std::vector<double> first(weights.size()), second(weights.size());
                                  for (std::int64_t step = 1; step <= 5; ++step) {
                                    state.drawGradient(static_cast<std::uint32_t>(step));
                                    const auto power = static_cast<double>(step);
                                    for (std::size_t i = 0; i < weights.size(); ++i) {
                                      const double g = 0.5 * static_cast<double>(state.gradient[i]);
                                      first[i] = 0.9 * first[i] + 0.1 * g;
                                      second[i] = 0.999 * second[i] + 0.001 * g * g;
                                      const double firstUnbiased = first[i] / (1 - std::pow(0.9, power));
                                      const double secondUnbiased = second[i] / (1 - std::pow(0.999, power));
                                      weights[i] -=
                                          1e-2 * (0.1 * weights[i] +
                                                  firstUnbiased / (std::sqrt(secondUnbiased) + 1e-8));
                                      ema[i] = 0.9 * ema[i] + 0.1 * weights[i];
                                    }
                                    backend.run(state.op(step));
                                    for (const float g : state.gradient) checkEqual(g, 0.0f);
                                  }
                                  checkAgainst(state.weights, weights, 1e-6);
                                  checkAgainst(state.ema, ema, 1e-6);
                                  checkAgainst(state.first, first, 1e-6);
                                  checkAgainst(state.second, second, 1e-6);
                                  for (std::size_t i = 0; i < state.copy.size(); ++i)
                                    checkEqual(state.copy[i].bits, toBf16(state.weights[i]).bits);
                                }
                              },
                              {DType::f32});

const PerInstructionSet optional("AdamW gives the same weights without a moving average or a copy",
                                 [](Backend& backend, DType) {
                                   State whole(1000);
                                   whole.drawGradient(1);
                                   backend.run(whole.op(1));
                                   for (const bool withEma : {false, true})
                                     for (const bool withCopy : {false, true}) {
                                       State part(1000);
                                       part.drawGradient(1);
                                       AdamW op = part.op(1);
                                       if (!withEma) op.ema = {};
                                       if (!withCopy) op.copy = {};
                                       backend.run(op);
                                       checkSameBits(part.weights, whole.weights);
                                       checkSameBits(part.ema, withEma ? whole.ema : randomValues(2, 1000));
                                     }
                                 },
                                 {DType::f32});

const PerInstructionSet followed(
    "what follows weights that another updated has the bits that AdamW gives, and nothing where its squares "
    "are not finite",
    [](Backend& backend, DType) {
      for (const bool withCopy : {false, true}) {
        State whole(40'003), other(40'003);
        whole.drawGradient(1);
        backend.run(whole.op(1));
        const std::vector<float> average = other.ema;
        other.drawGradient(1);
        other.weights = whole.weights;
        const AdamW like = other.op(1);
        FollowWeights op{.weights = {other.weights.data(), like.weights.size},
                         .gradient = like.gradient,
                         .ema = like.ema,
                         .copy = withCopy ? like.copy : Span<bf16>{},
                         .squares = like.squares,
                         .emaDecay = like.emaDecay};
        other.squares = static_cast<double>(INFINITY);
        backend.run(op);
        checkSameBits(other.ema, average);
        check(other.gradient != whole.gradient, "the gradient was cleared");
        other.squares = 4;
        backend.run(op);
        checkSameBits(other.ema, whole.ema);
        checkSameBits(other.gradient, whole.gradient);
        for (std::size_t i = 0; i < other.copy.size(); ++i)
          checkEqual(other.copy[i].bits, withCopy ? whole.copy[i].bits : 0);
      }
    },
    {DType::f32});

const PerInstructionSet clipped(
    "AdamW clips to the norm it is given as PyTorch does, and changes nothing where it is not finite",
    [](Backend& backend, DType) {
      const auto weightsAfter = [&](double squares, double maxNorm, float gradientFactor) {
        State state(100);
        state.drawGradient(1);
        for (float& g : state.gradient) g *= gradientFactor;
        state.squares = squares;
        AdamW op = state.op(1);
        op.maxNorm = maxNorm;
        op.epsilon = 1;  // or the size of the gradient would not matter
        backend.run(op);
        return state.weights;
      };
      const std::vector<float> whole = weightsAfter(9, 0, 1);
      checkSameBits(weightsAfter(9, 4, 1), whole);
      checkSameBits(weightsAfter(9, 0, 0.5f), weightsAfter(4, 1 + 5e-7, 1));
      check(weightsAfter(9, 1, 1) != whole, "the gradient was not clipped");
      for (const double bad : {static_cast<double>(INFINITY), static_cast<double>(NAN)})
        checkSameBits(weightsAfter(bad, 1, 1), randomValues(1, 100));
    },
    {DType::f32});

DDSC_TEST("AdamW gives the same bits with any number of threads and any instruction set") {
  std::vector<float> expected;
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 3}) {
      State state(50'001);
      const auto backend = cpu::makeCpuBackend(instructionSet, threads);
      for (std::int64_t step = 1; step <= 3; ++step) {
        state.drawGradient(static_cast<std::uint32_t>(step));
        backend->run(state.op(step));
      }
      if (expected.empty()) expected = state.weights;
      checkSameBits(state.weights, expected);
    }
}

double sumOfSquares(Backend& backend, const std::vector<float>& values) {
  double result = -1;
  backend.run(SumOfSquares{{values.data(), static_cast<std::int64_t>(values.size())}, {&result, 1}});
  return result;
}

const PerInstructionSet squares("the sum of squares is exact to float64 and does not overflow",
                                [](Backend& backend, DType) {
                                  for (const std::int64_t count : {0, 1, 15, 16, 50'001}) {
                                    const std::vector<float> values = randomValues(3, count);
                                    long double expected = 0;
                                    for (const float v : values)
                                      expected += static_cast<long double>(v) * static_cast<long double>(v);
                                    checkClose(sumOfSquares(backend, values), static_cast<double>(expected),
                                               1e-12 * static_cast<double>(count));
                                  }
                                  checkEqual(sumOfSquares(backend, {0x1p100f, 0x1p100f}), 0x1p201);
                                },
                                {DType::f32});

DDSC_TEST("the sum of squares has the same bits with any number of threads") {
  const std::vector<float> values = randomValues(4, 300'007);
  const double expected = sumOfSquares(*cpu::makeCpuBackend("generic", 1), values);
  for (const std::string& instructionSet : instructionSets())
    for (const int threads : {1, 2, 3, 5})
      checkEqual(sumOfSquares(*cpu::makeCpuBackend(instructionSet, threads), values), expected);
}

}  // namespace
}  // namespace ddsc::test
