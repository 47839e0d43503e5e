// Packed copies of weights: when they are kept, when they go, and that products do not depend on them.
#include "cpu/packed_weights.h"

#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

using cpu::PackedWeights;
using cpu::WeightOperand;

DDSC_TEST("a packed weight is kept from its second use on") {
  PackedWeights weights;
  const float data[4] = {};
  const WeightOperand operand{data, 2, 2, 2};
  check(weights.use(operand, 1, 4096).memory == nullptr, "kept at its first use");
  checkEqual(weights.bytes(), std::size_t{0});
  const auto second = weights.use(operand, 1, 4096);
  check(second.memory != nullptr && !second.packed, "not to be packed at its second use");
  const auto third = weights.use(operand, 1, 4096);
  check(third.memory == second.memory && third.packed, "not found at its third use");
  checkEqual(weights.bytes(), std::size_t{4096});
}

DDSC_TEST("packed weights go when their version moves") {
  PackedWeights weights;
  const float data[4] = {};
  const WeightOperand one{data, 2, 2, 2}, other{data + 1, 1, 2, 2};
  for (int use = 0; use < 2; ++use) {
    weights.use(one, 1, 64);
    weights.use(other, 1, 128);
  }
  checkEqual(weights.bytes(), std::size_t{192});
  check(weights.use(one, 2, 64).memory == nullptr, "the first use of the new version found a copy");
  checkEqual(weights.bytes(), std::size_t{0});
}

DDSC_TEST("a weight used once a version never takes memory") {
  PackedWeights weights;
  const float data[4] = {};
  for (std::uint64_t version = 1; version < 9; ++version) {
    check(weights.use({data, 2, 2, 2}, version, 64).memory == nullptr, "kept");
    checkEqual(weights.bytes(), std::size_t{0});
  }
}

DDSC_TEST("a weight without a version is never kept and leaves the others alone") {
  PackedWeights weights;
  const float data[4] = {};
  const WeightOperand operand{data, 2, 2, 2};
  for (int use = 0; use < 2; ++use) weights.use(operand, 7, 64);
  for (int use = 0; use < 3; ++use)
    check(weights.use({data, 1, 2, 2}, 0, 64).memory == nullptr, "kept without a version");
  check(weights.use(operand, 7, 64).packed, "dropped by a use without a version");
}

DDSC_TEST("an operand read another way is another packed weight") {
  PackedWeights weights;
  const float data[8] = {};
  const WeightOperand operand{data, 2, 2, 2};
  for (int use = 0; use < 2; ++use) weights.use(operand, 1, 64);
  WeightOperand transposed = operand, wider = operand, longer = operand, halves = operand;
  transposed.stepsContiguous = false;
  wider.cols = 3;
  longer.steps = 3;
  halves.type = DType::bf16;
  for (const WeightOperand& another : {transposed, wider, longer, halves})
    check(weights.use(another, 1, 64).memory == nullptr, "taken for another operand");
}

DDSC_TEST("packed weights go with the memory they were packed from") {
  PackedWeights weights;
  const float data[8] = {};
  const WeightOperand inside{data + 2, 2, 2, 2}, after{data + 4, 2, 2, 2};
  for (int use = 0; use < 2; ++use) {
    weights.use(inside, 1, 64);
    weights.use(after, 1, 128);
  }
  weights.forget(data, 4 * sizeof(float));
  checkEqual(weights.bytes(), std::size_t{128});
  check(weights.use(after, 1, 128).packed, "a weight outside of the memory went too");
}

/// y and dx of a layer under a version of its weight.
std::vector<float> layer(Backend& backend, const Tensor& x, const ConstMatrix& weight,
                         std::uint64_t version) {
  Tensor y(x.rows(), weight.rows), dx(x.rows(), weight.cols);
  Linear forward;
  forward.x = x.view();
  forward.weight = weight;
  forward.y = y.view();
  forward.weightVersion = version;
  backend.run(forward);
  const Tensor dy = Tensor::random(3, x.rows(), weight.rows, weight.type);
  LinearInputGradient gradient;
  gradient.dy = dy.view();
  gradient.weight = weight;
  gradient.dx = dx.view();
  gradient.weightVersion = version;
  backend.run(gradient);
  std::vector<float> both = y.values();
  const std::vector<float> second = dx.values();
  both.insert(both.end(), second.begin(), second.end());
  return both;
}

const PerInstructionSet sameBits("a layer gives the same bits whether or not its weight is kept packed",
                                 [](Backend& backend, DType type) {
                                   const Tensor x = Tensor::random(1, 45, 300, type),
                                                weight = Tensor::random(2, 70, 300, type, 1, 2);
                                   const std::vector<float> expected = layer(backend, x, weight.view(), 0);
                                   for (int use = 0; use < 4; ++use)
                                     checkSameBits(layer(backend, x, weight.view(), 5), expected);
                                 });

const PerInstructionSet changed("a changed weight is seen with its new version, and only then",
                                [](Backend& backend, DType type) {
                                  const Tensor x = Tensor::random(1, 20, 90, type),
                                               first = Tensor::random(2, 40, 90, type),
                                               second = Tensor::random(4, 40, 90, type);
                                  Tensor weight(40, 90, type);
                                  const auto become = [&](const Tensor& values) {
                                    for (std::int64_t i = 0; i < 40; ++i)
                                      for (std::int64_t j = 0; j < 90; ++j) weight.set(i, j, values.at(i, j));
                                  };
                                  become(first);
                                  const std::vector<float> before = layer(backend, x, weight.view(), 0);
                                  for (int use = 0; use < 3; ++use)
                                    checkSameBits(layer(backend, x, weight.view(), 8), before);
                                  become(second);
                                  checkSameBits(layer(backend, x, weight.view(), 8), before);
                                  const std::vector<float> after = layer(backend, x, weight.view(), 0);
                                  for (int use = 0; use < 3; ++use)
                                    checkSameBits(layer(backend, x, weight.view(), 9), after);
                                });

const PerInstructionSet released("memory that is given back and taken again has no packed weights",
                                 [](Backend& backend, DType type) {
                                   const Tensor x = Tensor::random(1, 20, 90, type);
                                   for (std::uint32_t name = 10; name < 14; ++name) {
                                     const Tensor values = Tensor::random(name, 40, 90, type);
                                     const auto bytes = static_cast<std::size_t>(40 * 90 * sizeOf(type));
                                     const Buffer weight(backend, bytes);
                                     backend.upload(weight.as<void>(), values.view().data, bytes);
                                     const ConstMatrix view{weight.as<void>(), 40, 90, 90, type};
                                     const std::vector<float> expected = layer(backend, x, view, 0);
                                     for (int use = 0; use < 3; ++use)
                                       checkSameBits(layer(backend, x, view, 6), expected);
                                   }
                                 });

}  // namespace
}  // namespace ddsc::test
