// What a GPU holds for its ops, beside what a plan says of it.
#include <algorithm>

#include "cuda/cuda_backend.h"
#include "cuda/devices.h"
#include "model/memory_plan.h"
#include "test/harness.h"
#include "test/small_model.h"

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
    model->accumulateAhead(&input, &input, 1.0, {});
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

}  // namespace
}  // namespace ddsc::test
