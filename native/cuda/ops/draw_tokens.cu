// One categorical draw a row by inverse CDF, in float64 and in the CPU's order of operations: a thread a row,
// which takes its exponentials anew in each pass rather than keep them.

#include "core/random.h"
#include "cuda/ops/elements.cuh"
#include "cuda/ops/kernels.h"
#include "ops/objectives.h"

namespace ddsc::cuda {
namespace {

struct DrawInput {
  Objective objective;
  Rows<const float> logits;
  Global<const std::int32_t> cell, position;
  Global<const std::uint64_t> cellIndex;
  Global<const float> reveal, stay, sigma;
  double temperature;
  std::int64_t firstValue;
  std::uint64_t seed, step;
};

/// A row's values and their weights.
struct RowWeights {
  Global<const float> logits;
  std::int64_t firstValue, count, best;
  double maximum, temperature;

  DDSC_DEVICE double exponential(std::int64_t i, double divisor) const {
    return ::exp((static_cast<double>(logits[firstValue + i]) - maximum) / divisor);
  }
  DDSC_DEVICE double total(double divisor) const {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += exponential(i, divisor);
    return sum;
  }
  /// At the draw's temperature, relative to `total`.
  DDSC_DEVICE double weight(std::int64_t i, double factor) const {
    if (temperature <= 0) return i == best ? factor : 0;
    return exponential(i, temperature) * factor;
  }
};

/// Gives rows with a value's logit that is not finite the token -1, the others 0. A kernel of its own, as the
/// draw's registers are all in use.
DDSC_KERNEL(kRowThreads) markRows(DrawInput in, Global<std::int32_t> tokens, Global<float> probability) {
  const std::int64_t row = threadOfGrid();
  if (row >= in.logits.rows) return;
  const Global<const float> logits = in.logits[row];
  float nothing = 0;
  for (std::int64_t i = in.firstValue; i < in.logits.cols - 1; ++i) nothing += zeroOrNaN(logits[i]);
  tokens[row] = isFinite(static_cast<double>(nothing)) ? 0 : -1;
  probability[row] = 0;
}

/// Draws for the rows that are not marked.
DDSC_KERNEL(kRowThreads) drawRows(DrawInput in, Global<std::int32_t> tokens, Global<float> probability) {
  const std::int64_t row = threadOfGrid();
  if (row >= in.logits.rows || tokens[row] < 0) return;
  const Global<const float> logits = in.logits[row];
  const std::int64_t mask = in.logits.cols - 1, cell = in.cell[row];
  RowWeights values{logits, in.firstValue, mask - in.firstValue, 0, 0, in.temperature};
  for (std::int64_t i = 1; i < values.count; ++i)
    if (logits[in.firstValue + i] > logits[in.firstValue + values.best]) values.best = i;
  values.maximum = static_cast<double>(logits[in.firstValue + values.best]);

  const double plainTotal = values.total(1);
  const double sigma = in.sigma.data == nullptr ? 0.0 : static_cast<double>(in.sigma[cell]);
  const double revealed = static_cast<double>(in.reveal[cell]) *
                          valueMass(in.objective, values.maximum + ::log(plainTotal),
                                    static_cast<double>(logits[mask]), in.logits.cols, sigma);
  const double surplus = revealed < 1 ? 1 - revealed : 0;
  const double stay = in.objective == Objective::sedd ? surplus : static_cast<double>(in.stay[cell]);
  double total = plainTotal;
  if (in.temperature <= 0) {
    total = 1;
  } else if (in.temperature < 1 || in.temperature > 1) {
    total = values.total(in.temperature);
  }
  const double factor = revealed / total;
  double sum = 0;
  for (std::int64_t i = 0; i < values.count; ++i) sum += values.weight(i, factor);
  sum += stay;

  const ddsc::Stream stream(in.seed, Purpose::draw, in.step, in.cellIndex[cell]);
  const PhiloxBlock block = philox(stream, static_cast<std::uint32_t>(in.position[row]));
  const double point = uniform53(block.word[0], block.word[1]) * sum;
  // The first at which the running sum passes the point; if rounding lets none, the last of positive weight.
  double running = 0;
  std::int64_t drawn = -1;
  for (std::int64_t i = 0; i <= values.count; ++i) {
    const double weight = i < values.count ? values.weight(i, factor) : stay;
    if (!(weight > 0)) continue;
    running += weight;
    drawn = i;
    if (running > point) break;
  }
  if (!isFinite(point)) {
    tokens[row] = -1;
    return;
  }
  const bool isValue = drawn >= 0 && drawn < values.count;
  tokens[row] = static_cast<std::int32_t>(isValue ? in.firstValue + drawn : mask);
  probability[row] = isValue ? static_cast<float>(values.exponential(drawn, 1) / plainTotal) : 0.0f;
}

}  // namespace

void run(Context& context, const DrawTokens& op) {
  const DrawInput input{op.objective,
                        rowsOf<float>(op.logits),
                        globalOf(op.rows.cell),
                        globalOf(op.rows.position),
                        globalOf(op.rows.cellIndex),
                        globalOf(op.reveal),
                        globalOf(op.stay),
                        globalOf(op.sigma),
                        static_cast<double>(op.temperature),
                        op.firstValue,
                        op.seed,
                        op.step};
  launch<markRows>(context.stream, "markNotFinite",
                   {.x = ceilDivide(op.logits.rows, kRowThreads), .threads = kRowThreads}, input,
                   globalOf(op.tokens), globalOf(op.probability));
  launch<drawRows>(context.stream, "drawTokens",
                   {.x = ceilDivide(op.logits.rows, kRowThreads), .threads = kRowThreads}, input,
                   globalOf(op.tokens), globalOf(op.probability));
}

}  // namespace ddsc::cuda
