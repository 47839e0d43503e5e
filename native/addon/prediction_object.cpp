#include "addon/inputs.h"
#include "addon/objects.h"

namespace ddsc::addon {

Napi::Function PredictionObject::define(Napi::Env env) {
  return DefineClass(
      env, "Prediction",
      {InstanceAccessor<&PredictionObject::rows>("rows"), InstanceMethod<&PredictionObject::logits>("logits"),
       InstanceMethod<&PredictionObject::statistics>("statistics"),
       InstanceMethod<&PredictionObject::draw>("draw"),
       InstanceMethod<&PredictionObject::dispose>("dispose")});
}

Napi::Object PredictionObject::make(Napi::Env env, std::shared_ptr<ModelThread> thread,
                                    std::shared_ptr<Prediction> prediction) {
  const Napi::Object object = env.GetInstanceData<EnvironmentData>()->prediction.New({});
  PredictionObject& made = *Unwrap(object);
  made.thread_ = std::move(thread);
  made.prediction_ = std::move(prediction);
  return object;
}

const std::shared_ptr<Prediction>& PredictionObject::prediction() const {
  require(prediction_ != nullptr, "MODEL_DISPOSED", "this prediction was disposed; predict again");
  return prediction_;
}

Napi::Value PredictionObject::rows(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return toArray(info.Env(), prediction()->rows()); });
}

Napi::Value PredictionObject::logits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Prediction> held = prediction();
    return thread_->start(
        info.Env(),
        [held](Model&) {
          std::vector<float> values(held->rows().size() * static_cast<std::size_t>(held->vocabSize()));
          held->logits({values.data(), static_cast<std::int64_t>(values.size())});
          return values;
        },
        [](Napi::Env env, std::vector<float>& values) -> Napi::Value { return toArray(env, values); });
  });
}

Napi::Value PredictionObject::statistics(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Field given = argument(info, 0, "targets");
    const std::shared_ptr<Prediction> held = prediction();
    return thread_->start(
        info.Env(),
        [held, targets = given.missing() ? std::vector<std::int32_t>{} : given.int32s()](Model&) {
          return held->statistics(targets);
        },
        [](Napi::Env env, Prediction::Statistics& statistics) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("targetLogProbability", toArray(env, statistics.targetLogProbability));
          result.Set("best", toArray(env, statistics.best));
          result.Set("bestProbability", toArray(env, statistics.bestProbability));
          result.Set("expectedToken", toArray(env, statistics.expectedToken));
          return result;
        });
  });
}

Napi::Value PredictionObject::draw(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Prediction> held = prediction();
    return thread_->start(
        info.Env(),
        [held, options = drawOptions(argument(info, 0, "options"))](Model&) { return held->draw(options); },
        [](Napi::Env env, Prediction::Draw& draw) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("tokens", toArray(env, draw.tokens));
          result.Set("probability", toArray(env, draw.probability));
          return result;
        });
  });
}

Napi::Value PredictionObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

void PredictionObject::release() {
  if (thread_) thread_->release(std::move(prediction_));
  thread_.reset();
}

}  // namespace ddsc::addon
