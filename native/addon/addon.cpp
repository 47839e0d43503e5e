// The addon's door: what lib/native.ts loads. Nothing here computes.
#include <napi.h>

#include "addon/async.h"
#include "addon/data_functions.h"
#include "addon/objects.h"
#include "cpu/cpu_backend.h"

namespace ddsc::addon {

namespace {

Napi::Value devices(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const std::unique_ptr<Backend> backend = cpu::makeCpuBackend();
    Napi::Array sets = Napi::Array::New(env);
    for (const std::string& name : cpu::instructionSets()) sets.Set(sets.Length(), name);
    Napi::Object device = Napi::Object::New(env);
    device.Set("name", "cpu");
    device.Set("description", backend->describe());
    device.Set("instructionSets", sets);
    device.Set("threads", backend->threads());
    Napi::Array list = Napi::Array::New(env);
    list.Set(0u, device);
    return list;
  });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto data = std::make_unique<EnvironmentData>();
  data->prediction = Napi::Persistent(PredictionObject::define(env));
  env.SetInstanceData(data.release());  // freed by the environment when it ends
  exports.Set("Denoiser", DenoiserObject::define(env));
  exports.Set("devices", Napi::Function::New<devices>(env, "devices"));
  exports.Set("estimateMemory", Napi::Function::New<estimateMemory>(env, "estimateMemory"));
  exports.Set("objectiveLoss", Napi::Function::New<objectiveLoss>(env, "objectiveLoss"));
  exportDataFunctions(env, exports);
  exportTokenFunctions(env, exports);
  return exports;
}

}  // namespace

}  // namespace ddsc::addon

static Napi::Object initialiseAddon(Napi::Env env, Napi::Object exports) {
  return ddsc::addon::initialise(env, exports);
}

NODE_API_MODULE(ddsc, initialiseAddon)
