// What a GPU holds for its ops, beside what a plan says of it.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#include "model/memory_plan.h"
#include "ops/counting.h"
#include "test/native/harness.h"
#include "test/native/model/small_model.h"
#include "test/native/views_of.h"

namespace ddsc::test {
namespace {

DDSC_TEST("a plan for a GPU estimates what its ops hold for themselves") {
  const DenoiserConfig config = smallConfig();
  constexpr BatchShape kShape{.cells = 3, .tokens = 150, .longest = 70, .masked = 10};
  for (const DType type : {DType::f32, DType::bf16}) {
    const MemoryPlan plan = planMemory(config, type, {.batch = kShape}, 1, DeviceKind::gpu);
    const auto model = std::make_shared<Model>(cuda::makeCudaBackend(0), config, type, true);
    model->parameters().initialise(1);
    model->reserve(plan.workspace, plan.inputs);
    const LossInput input = batchOf(kShape, config);
    PendingLoss loss = model->start(model->stage(input), 1.0, {});
    const StagedLoss next = model->stage(input);
    loss.finish();
    model->parameters().update(updateOptions(1));
    const std::size_t held = model->backend().scratchBytes();
    // The scratch memory is one, as large as any op wants.
    const std::size_t library = type == DType::bf16 ? cuda::libraryScratchBytes() : 0;
    check(held <= std::max(plan.scratch, library) && plan.scratch <= 2 * held + (std::size_t{64} << 10),
          "the estimate is neither too low nor twice too high");
    checkEqual(model->activationBytes(), plan.workspace);
    checkEqual(model->inputBytes(), plan.inputs);
  }
}

DDSC_TEST("what a weight gradient holds for itself is counted to the float") {
  const auto run = [](const auto& op) {
    CountingBackend counting(DeviceKind::gpu, 1);
    counting.run(op);
    const auto backend = cuda::makeCudaBackend(0);
    std::vector<Buffer> memory;
    auto there = op;
    forEachView(there, [&](auto& view) {
      if (!view) return;
      memory.emplace_back(*backend, std::size_t{1} << 22);
      backend->zero(memory.back().as<void>(), memory.back().bytes());
      view.data = memory.back().template as<std::remove_pointer_t<decltype(view.data)>>();
    });
    backend->run(there);
    backend->synchronise();
    checkEqual((counting.scratchBytes() + 3) / 4, (backend->scratchBytes() + 3) / 4);
  };
  int any = 0;
  const auto matrix = [&](std::int64_t rows, std::int64_t cols, DType type) {
    return Matrix{&any, rows, cols, cols, type};
  };
  float bias = 0;
  for (const DType type : {DType::f32, DType::bf16}) {
    // Many rows, which several blocks share, and few.
    for (const std::int64_t rows : {4500, 40}) {
      run(LinearWeightGradient{.dy = matrix(rows, 20, type),
                               .x = matrix(rows, 30, type),
                               .dweight = matrix(20, 30, DType::f32),
                               .dbias = {&bias, 20}});
    }
  }
}

}  // namespace
}  // namespace ddsc::test
