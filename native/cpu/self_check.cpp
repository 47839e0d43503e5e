// Whether a set of kernels computes what another does.

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/bf16.h"
#include "cpu/dispatch.h"

namespace ddsc::cpu {
namespace {

// No size is a multiple of a tile, and the sums are odd.
constexpr std::int64_t kRows = 37, kInputs = 71, kOutputs = 45;

/// [rows, cols] of small whole numbers, which bf16 holds exactly.
std::vector<bf16> pattern(std::int64_t rows, std::int64_t cols, std::int64_t seed) {
  std::vector<bf16> values;
  for (std::int64_t i = 0; i < rows * cols; ++i)
    values.push_back(toBf16(static_cast<float>((i * 7 + seed + i / 13) % 31 - 15)));
  return values;
}

ConstMatrix view(const std::vector<bf16>& values, std::int64_t rows, std::int64_t cols) {
  return {values.data(), rows, cols, cols, DType::bf16};
}
Matrix view(float* values, std::int64_t rows, std::int64_t cols) {
  return {values, rows, cols, cols, DType::f32};
}

/// y, dx, dweight and dbias of a small layer, end to end.
std::vector<float> layer(const OpTable& ops) {
  ThreadPool pool(1);
  Scratch scratch(1);
  PackedWeights weights;
  Context context{pool, scratch, weights};
  const std::vector<bf16> x = pattern(kRows, kInputs, 1), weight = pattern(kOutputs, kInputs, 2),
                          dy = pattern(kRows, kOutputs, 3);
  std::vector<float> results(kRows * kOutputs + kRows * kInputs + kOutputs * kInputs + kOutputs, 0.0f);
  float* y = results.data();
  float* dx = y + kRows * kOutputs;
  float* dweight = dx + kRows * kInputs;
  float* dbias = dweight + kOutputs * kInputs;

  Linear forward;
  forward.x = view(x, kRows, kInputs);
  forward.weight = view(weight, kOutputs, kInputs);
  forward.y = view(y, kRows, kOutputs);
  ops.run(context, forward);
  LinearInputGradient inputGradient;
  inputGradient.dy = view(dy, kRows, kOutputs);
  inputGradient.weight = forward.weight;
  inputGradient.dx = view(dx, kRows, kInputs);
  ops.run(context, inputGradient);
  ops.run(context, LinearWeightGradient{
                       inputGradient.dy, forward.x, view(dweight, kOutputs, kInputs), {dbias, kOutputs}});
  return results;
}

}  // namespace

bool linearAgrees(const OpTable& ops, const OpTable& reference) {
  const std::vector<float> actual = layer(ops), expected = layer(reference);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(std::abs(actual[i] - expected[i]) <= 1e-5f * (1 + std::abs(expected[i])))) return false;
  return true;
}

InstructionSet checkedAgainst(const InstructionSet& set, const InstructionSet& next,
                              const OpTable& reference) {
  if (linearAgrees(set.ops, reference)) return set;
  InstructionSet chosen = next;
  chosen.note = set.name + " gave wrong results in a check and is not used";
  return chosen;
}

}  // namespace ddsc::cpu
