// Memory of a model and its calls: told before any of it is taken, or taken at once.
#include <algorithm>

#include "addon/inputs.h"
#include "addon/objects.h"
#include "cpu/cpu_backend.h"
#include "cuda/devices.h"

namespace ddsc::addon {

namespace {

Napi::Value planObject(Napi::Env env, MemoryPlan& plan) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("parameters", static_cast<double>(plan.parameters));
  result.Set("activations", static_cast<double>(plan.activations));
  result.Set("scratch", static_cast<double>(plan.scratch));
  return result;
}

MemoryPlan planFor(const DenoiserConfig& config, DType compute, const Workload& load, int threads,
                   DeviceKind kind) {
  MemoryPlan plan = planMemory(config, compute, load, threads, kind);
  // A GPU's scratch memory is one, as large as any op wants.
  if (kind == DeviceKind::gpu && compute == DType::bf16)
    plan.scratch = std::max(plan.scratch, cuda::libraryScratchBytes());
  return plan;
}

}  // namespace

Napi::Value DenoiserObject::reserve(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto work = [load = workload(argument(info, 0, "workload"))](Model& m) {
      const MemoryPlan plan =
          planFor(m.config(), m.compute(), load, m.backend().threads(), m.backend().kind());
      m.reserve(plan.workspace, plan.inputs);
      return plan;
    };
    return thread().start(info.Env(), work, planObject);
  });
}

Napi::Value estimateMemory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Field options = argument(info, 0, "options");
    return Job<MemoryPlan>::start(
        info.Env(),
        [config = denoiserConfig(options["config"]), type = dtype(options["dtype"]),
         load = workload(options["workload"]),
         kind = options["device"].string() == "cpu" ? DeviceKind::cpu : DeviceKind::gpu] {
          const int threads = kind == DeviceKind::cpu ? cpu::makeCpuBackend()->threads() : 1;
          return planFor(config, type, load, threads, kind);
        },
        planObject);
  });
}

}  // namespace ddsc::addon
