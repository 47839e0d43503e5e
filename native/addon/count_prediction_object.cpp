#include "addon/inputs.h"
#include "addon/objects.h"

namespace ddsc::addon {

Napi::Function CountPredictionObject::define(Napi::Env env) {
  return DefineClass(env, "CountPrediction",
                     {InstanceMethod<&CountPredictionObject::values<&CountPrediction::logits>>("logits"),
                      InstanceMethod<&CountPredictionObject::values<&CountPrediction::tilt>>("tilt"),
                      InstanceMethod<&CountPredictionObject::values<&CountPrediction::state>>("state"),
                      InstanceMethod<&CountPredictionObject::statistics>("statistics"),
                      InstanceMethod<&CountPredictionObject::guide>("guide"),
                      InstanceMethod<&CountPredictionObject::draw>("draw"),
                      InstanceMethod<&CountPredictionObject::dispose>("dispose")});
}

Napi::Object CountPredictionObject::make(Napi::Env env, std::shared_ptr<ModelThread> thread,
                                         std::shared_ptr<CountPrediction> prediction) {
  const Napi::Object object = env.GetInstanceData<EnvironmentData>()->countPrediction.New({});
  CountPredictionObject& made = *Unwrap(object);
  made.thread_ = std::move(thread);
  made.prediction_ = std::move(prediction);
  return object;
}

const std::shared_ptr<CountPrediction>& CountPredictionObject::prediction() const {
  require(prediction_ != nullptr, "MODEL_DISPOSED", "this prediction was disposed; predict again");
  return prediction_;
}

CountPredictionObject* CountPredictionObject::from(const Napi::Value& value) {
  if (!value.IsObject()) return nullptr;
  const Napi::Object object = value.As<Napi::Object>();
  const Napi::Function constructor = value.Env().GetInstanceData<EnvironmentData>()->countPrediction.Value();
  return object.InstanceOf(constructor) ? Unwrap(object) : nullptr;
}

template <auto read>
Napi::Value CountPredictionObject::values(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return thread_->start(
        info.Env(), [held = prediction()](Model&) { return ((*held).*read)(); },
        [](Napi::Env env, std::vector<float>& numbers) -> Napi::Value { return toArray(env, numbers); });
  });
}

Napi::Value CountPredictionObject::statistics(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Field given = argument(info, 0, "targets");
    const bool all = argument(info, 1, "logProbabilities").boolean();
    return thread_->start(
        info.Env(),
        [held = prediction(), all, targets = given.missing() ? std::vector<std::int32_t>{} : given.int32s()](
            Model&) { return held->statistics(targets, all); },
        [](Napi::Env env, CountPrediction::Statistics& s) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("logProbability", toArray(env, s.logProbability));
          result.Set("below", toArray(env, s.below));
          result.Set("mean", toArray(env, s.mean));
          result.Set("variance", toArray(env, s.variance));
          result.Set("expressed", toArray(env, s.expressed));
          result.Set("logProbabilities", toArray(env, s.logProbabilities));
          return result;
        });
  });
}

Napi::Value CountPredictionObject::guide(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const CountPredictionObject* null = from(argument(info, 0, "null").value);
    require(null != nullptr, "ARGUMENT_TYPE", "expected a prediction of counts for null");
    require(null->thread_ == thread_, "ARGUMENT_RANGE", "null is a prediction of another model");
    const float gamma = static_cast<float>(argument(info, 1, "gamma").number());
    auto work = [held = prediction(), without = null->prediction(), gamma](Model&) {
      held->guide(*without, gamma);
      return Nothing{};
    };
    return thread_->start(info.Env(), std::move(work), undefined);
  });
}

Napi::Value CountPredictionObject::draw(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::uint64_t seed = argument(info, 0, "seed").natural(),
                        step = argument(info, 1, "step").natural();
    return thread_->start(
        info.Env(), [held = prediction(), seed, step](Model&) { return held->draw(seed, step); },
        [](Napi::Env env, CountPrediction::Draw& draw) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("values", toArray(env, draw.values));
          result.Set("counts", toArray(env, draw.counts));
          return result;
        });
  });
}

Napi::Value CountPredictionObject::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

void CountPredictionObject::release() {
  if (thread_) thread_->release(std::move(prediction_));
  thread_.reset();
}

}  // namespace ddsc::addon
