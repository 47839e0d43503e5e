// One categorical draw a row by inverse CDF: softmax, weights and draw in one pass over the logits, all in
// float64, so that rare tokens come as often as they should and every instruction set draws the same.

#include <math.h>

#include "core/random.h"
#include "cpu/inverse_cdf.h"
#include "cpu/ops/kernels.h"
#include "cpu/sweep.h"
#include "cpu/value_softmax.h"

namespace ddsc::cpu::DDSC_ISA {
namespace {

constexpr std::int64_t kRowsPerTask = 32;

/// weights[i] = exp((values[i] - maximum) / temperature); returns their sum.
double exponentiate(const float* values, std::int64_t count, double maximum, double temperature,
                    double* weights) {
  double total = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    weights[i] = ::exp((static_cast<double>(values[i]) - maximum) / temperature);
    total += weights[i];
  }
  return total;
}

void drawRow(const DrawTokens& op, std::int64_t row, double* weights) {
  const std::int64_t mask = op.logits.cols - 1, count = mask - op.firstValue;
  const std::int64_t cell = op.rows.cell[row];
  const float* logits = op.logits.row<float>(row);
  const float* values = logits + op.firstValue;

  std::int64_t best = 0;
  for (std::int64_t i = 1; i < count; ++i)
    if (values[i] > values[best]) best = i;
  const auto maximum = static_cast<double>(values[best]);
  const double plainTotal = exponentiate(values, count, maximum, 1, weights);
  const auto reveal = static_cast<double>(op.reveal[cell]);
  const double revealed =
      reveal * valueMass(op.objective, maximum + ::log(plainTotal), static_cast<double>(logits[mask]),
                         op.logits.cols, op.sigma ? static_cast<double>(op.sigma[cell]) : 0.0);
  const double surplus = revealed < 1 ? 1 - revealed : 0;
  const double stay = op.objective == Objective::sedd ? surplus : static_cast<double>(op.stay[cell]);
  if (!isFinite(plainTotal + revealed + static_cast<double>(zeroOrNaN(values, count)))) {
    op.tokens[row] = -1;
    op.probability[row] = 0;
    return;
  }

  double total = plainTotal;
  if (op.temperature <= 0) {
    for (std::int64_t i = 0; i < count; ++i) weights[i] = i == best ? 1 : 0;
    total = 1;
  } else if (op.temperature < 1 || op.temperature > 1) {
    total = exponentiate(values, count, maximum, static_cast<double>(op.temperature), weights);
  }
  // Weights of the values relative to their sum, and of the mask token after them.
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    weights[i] *= revealed / total;
    sum += weights[i];
  }
  weights[count] = stay;
  sum += stay;

  const Stream stream(op.seed, Purpose::draw, op.step, op.rows.cellIndex[cell]);
  const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(op.rows.position[row]));
  const std::int64_t drawn = invert(weights, count + 1, uniform53(block.word[0], block.word[1]) * sum);
  if (drawn < count) {
    op.tokens[row] = static_cast<std::int32_t>(op.firstValue + drawn);
    op.probability[row] =
        static_cast<float>(::exp(static_cast<double>(values[drawn]) - maximum) / plainTotal);
  } else {
    op.tokens[row] = static_cast<std::int32_t>(mask);
    op.probability[row] = 0;
  }
}

}  // namespace

void run(Context& context, const DrawTokens& op) {
  const std::size_t rowBytes = static_cast<std::size_t>(op.logits.cols) * sizeof(double);
  parallelChunks(context, op.logits.rows, kRowsPerTask,
                 [&](std::int64_t first, std::int64_t last, int worker) {
                   auto* weights = static_cast<double*>(context.scratch.worker(worker, rowBytes));
                   for (std::int64_t row = first; row < last; ++row) drawRow(op, row, weights);
                 });
}

}  // namespace ddsc::cpu::DDSC_ISA
