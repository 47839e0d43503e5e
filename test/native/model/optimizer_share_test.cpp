// An optimizer whose state is shared out: what its holders have together is what one has who holds all.
#include <limits>
#include <memory>
#include <vector>

#include "core/bf16.h"
#include "model/memory_plan.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

std::shared_ptr<Model> holder(DType type, OptimizerShare share) {
  auto model = std::make_shared<Model>(backendUnderTest(1), countConfig(), type, true, share);
  model->parameters().initialise(5);
  return model;
}

std::vector<float> part(Model& model, const char* name, BufferPart of) {
  std::vector<float> values(static_cast<std::size_t>(of.size()));
  model.parameters().read(name, of.begin, {values.data(), of.size()});
  return values;
}

/// Brings each holder the weights that the others updated.
void exchange(const std::vector<std::shared_ptr<Model>>& holders) {
  for (const auto& from : holders) {
    const BufferPart own = from->parameters().share().of(from->parameters().layout().size);
    const std::vector<float> values = part(*from, "weights", own);
    for (const auto& to : holders)
      if (to != from && own.size() > 0)
        to->backend().upload(to->parameters().wholeWeights().data + own.begin, values.data(),
                             values.size() * sizeof(float));
  }
}

/// What a forward pass reads in bf16.
std::vector<std::uint16_t> copyOf(Model& model) {
  const Parameter& table = model.parameters().layout().geneTable;
  model.parameters().prepare(WeightSource::weights);
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(table.size()));
  model.backend().download(bits.data(), model.parameters().weight(table, WeightSource::weights).data,
                           bits.size() * sizeof(bf16));
  return bits;
}

void checkSteps(DType type, std::int64_t count) {
  const auto whole = holder(type, {});
  const std::int64_t size = whole->parameters().layout().size;
  std::vector<std::shared_ptr<Model>> holders;
  for (std::int64_t index = 0; index < count; ++index) holders.push_back(holder(type, {index, count}));
  for (std::int64_t step = 1; step <= 4; ++step) {
    std::vector<float> gradient = randomValues(static_cast<std::uint32_t>(step), size, 0.1f);
    // The second step is refused, and leaves all as it is.
    if (step == 2) gradient[7] = std::numeric_limits<float>::infinity();
    ParameterStore::UpdateOptions options = updateOptions(step);
    options.stateRate = 3;
    options.sizesRate = 0.1;
    whole->parameters().write("gradient", 0, {gradient.data(), size});
    const auto expected = whole->parameters().update(options);
    std::vector<ParameterStore::PendingUpdate> pending;
    for (const auto& one : holders) {
      one->parameters().write("gradient", 0, {gradient.data(), size});
      pending.push_back(one->parameters().start(options));
    }
    exchange(holders);
    for (std::size_t i = 0; i < holders.size(); ++i) {
      holders[i]->parameters().follow(options);
      const auto result = pending[i].finish();
      checkEqual(result.applied, step != 2);
      checkEqual(result.applied, expected.applied);
      if (result.applied) checkEqual(result.gradientNorm, expected.gradientNorm);
    }
  }
  for (const auto& one : holders) {
    for (const char* name : {"weights", "ema", "gradient"})
      checkSameBits(buffer(*one, name), buffer(*whole, name));
    const BufferPart own = one->parameters().share().of(size);
    for (const char* name : {"firstMoment", "secondMoment"})
      checkSameBits(part(*one, name, own), part(*whole, name, own));
    if (type == DType::bf16) check(copyOf(*one) == copyOf(*whole), "the copies differ");
  }
}

DDSC_TEST("holders of an optimizer's shares have the bits of one who holds all of it") {
  for (const DType type : {DType::f32, DType::bf16})
    for (const std::int64_t count : {2, 3, 7}) checkSteps(type, count);
}

DDSC_TEST("a share takes the memory of its moments alone, as planned; the parts of all are the whole") {
  const auto whole = holder(DType::f32, {});
  const std::int64_t size = whole->parameters().layout().size;
  std::int64_t end = 0;
  for (std::int64_t index = 0; index < 5; ++index) {
    const auto one = holder(DType::f32, {index, 5});
    const BufferPart own = one->parameters().share().of(size);
    checkEqual(own.begin, end);
    end = own.end;
    const auto spared = static_cast<std::size_t>(size - own.size()) * 2 * sizeof(float);
    checkEqual(one->parameters().bytes(), whole->parameters().bytes() - spared);
    Workload workload;
    workload.batch = {2, 20, 12, 8};
    const std::size_t all = planMemory(countConfig(), DType::f32, workload, 1).parameters;
    workload.share = {index, 5};
    checkEqual(planMemory(countConfig(), DType::f32, workload, 1).parameters, all - spared);
  }
  checkEqual(end, size);
  // More holders than lines: the last have nothing.
  checkEqual((OptimizerShare{9, 10}.of(40).size()), 0);
}

DDSC_TEST("of moments that another holds nothing is read, and what is written is let go") {
  const auto one = holder(DType::f32, {1, 2});
  const std::int64_t size = one->parameters().layout().size;
  const BufferPart own = one->parameters().share().of(size);
  checkThrows<Error>([&] { part(*one, "firstMoment", {0, size}); }, "outside of the buffer");
  const std::vector<float> values = randomValues(1, size);
  one->parameters().write("firstMoment", 0, {values.data(), size});
  checkSameBits(part(*one, "firstMoment", own), std::vector<float>(values.begin() + own.begin, values.end()));
  checkThrows<Error>([] { holder(DType::f32, {2, 2}); }, "share of the optimizer");
}

}  // namespace
}  // namespace ddsc::test
