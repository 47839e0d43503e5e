// The addon's door: what lib/native/addon.ts loads. Nothing here computes.
#include <napi.h>

#include "addon/communicator_object.h"
#include "addon/data_functions.h"
#include "addon/devices.h"
#include "addon/objects.h"

namespace ddsc::addon {

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto data = std::make_unique<EnvironmentData>();
  data->prediction = Napi::Persistent(PredictionObject::define(env));
  data->countPrediction = Napi::Persistent(CountPredictionObject::define(env));
  data->staged = Napi::Persistent(StagedObject::define(env));
  const Napi::Function communicator = CommunicatorObject::define(env);
  data->communicator = Napi::Persistent(communicator);
  env.SetInstanceData(data.release());  // freed by the environment when it ends
  exports.Set("Communicator", communicator);
  exports.Set("Denoiser", DenoiserObject::define(env));
  exports.Set("cancellation", Napi::Function::New<makeCancellation>(env, "cancellation"));
  exports.Set("cancel", Napi::Function::New<cancel>(env, "cancel"));
  exports.Set("devices", Napi::Function::New<devices>(env, "devices"));
  exports.Set("cudaState", Napi::Function::New<cudaState>(env, "cudaState"));
  exports.Set("gpuMemory", Napi::Function::New<gpuMemory>(env, "gpuMemory"));
  exports.Set("estimateMemory", Napi::Function::New<estimateMemory>(env, "estimateMemory"));
  exports.Set("modelParameters", Napi::Function::New<modelParameters>(env, "modelParameters"));
  exports.Set("firstNotFinite", Napi::Function::New<firstNotFinite>(env, "firstNotFinite"));
  exports.Set("objectiveLoss", Napi::Function::New<objectiveLoss>(env, "objectiveLoss"));
  exportDataFunctions(env, exports);
  exportTokenFunctions(env, exports);
  exportCountFunctions(env, exports);
  return exports;
}

}  // namespace

}  // namespace ddsc::addon

static Napi::Object initialiseAddon(Napi::Env env, Napi::Object exports) {
  return ddsc::addon::initialise(env, exports);
}

NODE_API_MODULE(ddsc, initialiseAddon)
