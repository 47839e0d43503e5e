// The whole model, above all in bf16, on every instruction set: matrix units, real and emulated, where they
// meet all else.
#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/instruction_sets.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

/// The gradient of one batch, then the weights after two steps of two micro-batches each, whose second uses
/// find their weights packed.
std::vector<float> trained(Model& model, const AnyLossInput& input) {
  model.accumulate(input, 0.01, {});
  std::vector<float> all = buffer(model, "gradient");
  for (std::int64_t step = 1; step <= 2; ++step) {
    for (int part = 0; part < 2; ++part) model.accumulate(input, 0.01, {});
    check(model.parameters().update(updateOptions(step)).applied, "the step was refused");
  }
  const std::vector<float> weights = buffer(model, "weights");
  all.insert(all.end(), weights.begin(), weights.end());
  return all;
}

std::vector<float> trained(const std::string& instructionSet, int threads) {
  const DenoiserConfig config = smallConfig();
  const auto model = randomModel(cpu::makeCpuBackend(instructionSet, threads), config, DType::bf16);
  return trained(*model, lossInput(cells({70, 1, 33, 150}, config)));
}

std::vector<float> trainedOnCounts(const std::string& instructionSet, int threads, DType type) {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(cpu::makeCpuBackend(instructionSet, threads), config, type);
  return trained(*model, countInput(unlikeCells(), config));
}

DDSC_TEST("training in bf16 is the same on every instruction set but for rounding") {
  const std::vector<float> expected = trained("generic", 1);
  for (const std::string& name : instructionSets()) checkRelative(trained(name, 1), expected, 0.02);
}

DDSC_TEST("training in bf16 gives the same bits on any number of threads, on every instruction set") {
  for (const std::string& name : instructionSets()) {
    const std::vector<float> alone = trained(name, 1);
    for (const int threads : {2, 3}) checkSameBits(trained(name, threads), alone);
  }
}

DDSC_TEST("training on counts is the same on every instruction set but for rounding") {
  for (const DType type : {DType::f32, DType::bf16}) {
    const std::vector<float> expected = trainedOnCounts("generic", 1, type);
    for (const std::string& name : instructionSets())
      checkRelative(trainedOnCounts(name, 1, type), expected, type == DType::f32 ? 1e-5 : 0.02);
  }
}

DDSC_TEST("training on counts gives the same bits on any number of threads, on every instruction set") {
  for (const std::string& name : instructionSets()) {
    for (const DType type : {DType::f32, DType::bf16}) {
      const std::vector<float> alone = trainedOnCounts(name, 1, type);
      for (const int threads : {2, 5}) checkSameBits(trainedOnCounts(name, threads, type), alone);
    }
  }
}

}  // namespace
}  // namespace ddsc::test
