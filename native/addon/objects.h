#pragma once
// The JavaScript classes of the addon: see the Addon interfaces in lib/native.ts.

#include <napi.h>

#include <memory>

#include "model/model.h"
#include "ops/profile.h"

namespace ddsc::addon {

class DenoiserObject final : public Napi::ObjectWrap<DenoiserObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit DenoiserObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value bufferSize(const Napi::CallbackInfo& info);
  Napi::Value device(const Napi::CallbackInfo& info);
  Napi::Value initialise(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value accumulate(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value update(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value takeProfile(const Napi::CallbackInfo& info);
  Napi::Value measureLimits(const Napi::CallbackInfo& info);
  Napi::Value reserve(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  /// The model; throws MODEL_DISPOSED after dispose().
  const std::shared_ptr<Model>& model() const;

  std::shared_ptr<Model> model_;
  Napi::ObjectReference next_;            // the input whose batch the model has made ready; weak
  ProfilingBackend* profiler_ = nullptr;  // the model's backend, where a profile was asked for
};

class PredictionObject final : public Napi::ObjectWrap<PredictionObject> {
 public:
  static Napi::Function define(Napi::Env env);
  /// A JavaScript object for a prediction.
  static Napi::Object make(Napi::Env env, std::shared_ptr<Prediction> prediction);
  explicit PredictionObject(const Napi::CallbackInfo& info);

 private:
  Napi::Value rows(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value statistics(const Napi::CallbackInfo& info);
  Napi::Value draw(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  const std::shared_ptr<Prediction>& prediction() const;

  std::shared_ptr<Prediction> prediction_;
};

/// objectiveLoss(input): the loss op alone.
Napi::Value objectiveLoss(const Napi::CallbackInfo& info);

/// estimateMemory(options): what a model and its calls would hold.
Napi::Value estimateMemory(const Napi::CallbackInfo& info);

/// What belongs to one JavaScript environment (the main thread, a worker).
struct EnvironmentData {
  Napi::FunctionReference prediction;  // constructor
};

}  // namespace ddsc::addon
