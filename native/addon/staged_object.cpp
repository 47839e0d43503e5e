#include "addon/objects.h"

namespace ddsc::addon {

Napi::Function StagedObject::define(Napi::Env env) {
  return DefineClass(env, "StagedBatch", {InstanceMethod<&StagedObject::dispose>("dispose")});
}

Napi::Object StagedObject::make(Napi::Env env, const std::shared_ptr<ModelThread>& thread,
                                std::shared_ptr<Batch> batch) {
  const Napi::Object object = env.GetInstanceData<EnvironmentData>()->staged.New({});
  StagedObject& staged = *Unwrap(object);
  staged.thread_ = thread;
  staged.batch_ = std::move(batch);
  return object;
}

StagedObject* StagedObject::from(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Function constructor = value.Env().GetInstanceData<EnvironmentData>()->staged.Value();
  return object.InstanceOf(constructor) ? Unwrap(object) : nullptr;
}

std::shared_ptr<StagedObject::Batch> StagedObject::take(const ModelThread& thread) {
  require(batch_ != nullptr, "MODEL_DISPOSED",
          "this staged batch was used or disposed of; stage its input again");
  require(thread_.lock().get() == &thread, "ARGUMENT_RANGE", "the batch was staged by another model");
  return std::exchange(batch_, nullptr);
}

Napi::Value StagedObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

void StagedObject::release() {
  if (const std::shared_ptr<ModelThread> thread = thread_.lock()) thread->release(std::move(batch_));
  batch_.reset();
}

}  // namespace ddsc::addon
