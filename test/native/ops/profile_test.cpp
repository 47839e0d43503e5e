// The profile of a training step: what was run, what it cost, and that it changes nothing.
#include "ops/profile.h"

#include "cpu/cpu_backend.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

struct Profiled {
  std::shared_ptr<Model> model;
  ProfilingBackend* profiler;  // the model's
};

Profiled profiledModel(const DenoiserConfig& config) {
  auto backend = makeProfilingBackend(cpu::makeCpuBackend("", 1));
  ProfilingBackend* profiler = backend.get();
  Profiled result{randomModel(std::move(backend), config), profiler};
  profiler->take();
  return result;
}

OpProfile find(const std::vector<OpProfile>& rows, std::string_view op, std::string_view place) {
  for (const OpProfile& row : rows)
    if (row.op == op && row.place == place) return row;
  throw std::runtime_error("no row " + std::string(op) + ", " + std::string(place));
}

DDSC_TEST("a profile has a row for each op and place, with the calls and costs of all blocks") {
  const DenoiserConfig config = smallConfig();
  const auto [model, profiler] = profiledModel(config);
  const LossInput input = lossInput(cells({9, 4, 20}, config));
  const LossSums sums = model->accumulate(input, 1.0, {});
  model->parameters().update(updateOptions(1));
  const std::vector<OpProfile> rows = profiler->take();

  const auto blocks = config.blocks;
  const double tokens = 33, masked = static_cast<double>(sums.maskedTokens), wide = 32;
  const OpProfile qkv = find(rows, "linear", "qkv");
  checkEqual(qkv.calls, blocks);
  checkClose(qkv.cost.flops, static_cast<double>(blocks) * 2 * tokens * wide * 3 * wide, 0);
  // All rows of the first block, the masked ones of the last.
  const OpProfile mlp = find(rows, "linear", "mlp in + gelu");
  checkClose(mlp.cost.flops, 2 * (tokens + masked) * wide * 4 * wide, 0);
  checkClose(find(rows, "weight gradient", "mlp in").cost.flops, mlp.cost.flops, 0);
  checkClose(find(rows, "attention", "").cost.flops,
             static_cast<double>(blocks) * 4 * (9 * 9 + 4 * 4 + 20 * 20) * wide, 0);
  checkEqual(find(rows, "adamw", "").calls, 1);
  for (const OpProfile& row : rows) check(row.seconds >= 0 && row.calls > 0, std::string(row.op));
  check(profiler->take().empty(), "the record begins anew");
}

DDSC_TEST("a model computes the same bits with a profile and without") {
  DenoiserConfig config = smallConfig();
  config.dropout = 0.2;
  const LossInput input = lossInput(cells({9, 4, 20}, config));
  const auto plain = randomModel(config);
  const auto profiled = profiledModel(config).model;
  for (const auto& model : {plain, profiled}) {
    model->accumulate(input, 1.0, {3, 1});
    model->parameters().update(updateOptions(1));
  }
  checkSameBits(buffer(*profiled, "weights"), buffer(*plain, "weights"));
}

}  // namespace
}  // namespace ddsc::test
