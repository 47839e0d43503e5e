#include <optional>
#include <utility>

#include "addon/calls.h"
#include "addon/devices.h"
#include "addon/inputs.h"
#include "addon/objects.h"

namespace ddsc::addon {

namespace {

Napi::Value lossObject(Napi::Env env, LossSums& sums) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("loss", sums.loss);
  result.Set("meanLoss", sums.meanLoss);
  result.Set("maskedTokens", static_cast<double>(sums.maskedTokens));
  result.Set("validTokens", static_cast<double>(sums.validTokens));
  result.Set("crossEntropy", sums.crossEntropy);
  result.Set("correct", static_cast<double>(sums.correct));
  result.Set("cellLoss", toArray(env, sums.cellLoss));
  return result;
}

bool refersTo(const Napi::ObjectReference& reference, const Napi::Value& value) {
  if (reference.IsEmpty()) return false;
  const Napi::Object object = reference.Value();  // empty where it was collected
  return !object.IsEmpty() && object.StrictEquals(value);
}

/// A loss input where there is one that can be read: whoever gives it in its turn is told what is wrong.
std::optional<LossInput> readable(const Field& value) {
  if (value.missing()) return std::nullopt;
  try {
    return lossInput(value);
  } catch (const Error&) {
  } catch (const Napi::Error&) {
  }
  return std::nullopt;
}

}  // namespace

Napi::Function DenoiserObject::define(Napi::Env env) {
  return DefineClass(
      env, "Denoiser",
      {InstanceAccessor<&DenoiserObject::parameters>("parameters"),
       InstanceAccessor<&DenoiserObject::bufferSize>("bufferSize"),
       InstanceAccessor<&DenoiserObject::device>("device"),
       InstanceMethod<&DenoiserObject::initialise>("initialise"),
       InstanceMethod<&DenoiserObject::read>("read"), InstanceMethod<&DenoiserObject::write>("write"),
       InstanceMethod<&DenoiserObject::accumulate>("accumulate"),
       InstanceMethod<&DenoiserObject::evaluate>("evaluate"),
       InstanceMethod<&DenoiserObject::update>("update"), InstanceMethod<&DenoiserObject::predict>("predict"),
       InstanceMethod<&DenoiserObject::takeProfile>("takeProfile"),
       InstanceMethod<&DenoiserObject::measureLimits>("measureLimits"),
       InstanceMethod<&DenoiserObject::reserve>("reserve"), InstanceMethod<&DenoiserObject::cancel>("cancel"),
       InstanceMethod<&DenoiserObject::dispose>("dispose")});
}

DenoiserObject::DenoiserObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DenoiserObject>(info) {
  guarded(info.Env(), [&] {
    const Field options = argument(info, 0, "options");
    std::unique_ptr<Backend> backend = makeBackend(options["device"].string());
    if (const Field profile = options["profile"]; !profile.missing() && profile.boolean()) {
      std::unique_ptr<ProfilingBackend> profiler = makeProfilingBackend(std::move(backend));
      profiler_ = profiler.get();
      backend = std::move(profiler);
    }
    model_ = std::make_shared<Model>(std::move(backend), denoiserConfig(options["config"]),
                                     dtype(options["dtype"]), options["trainable"].boolean());
  });
}

const std::shared_ptr<Model>& DenoiserObject::model() const {
  require(model_ != nullptr, "MODEL_DISPOSED", "this model was disposed; load or create it again");
  return model_;
}

Napi::Value DenoiserObject::parameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Napi::Array list = Napi::Array::New(env);
    for (const Parameter* p : model()->parameters().layout().all()) {
      Napi::Array shape = Napi::Array::New(env, p->shape.size());
      for (std::size_t i = 0; i < p->shape.size(); ++i) {
        shape.Set(static_cast<std::uint32_t>(i), static_cast<double>(p->shape[i]));
      }
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("name", p->name);
      entry.Set("shape", shape);
      entry.Set("offset", static_cast<double>(p->offset));
      entry.Set("size", static_cast<double>(p->size()));
      list.Set(list.Length(), entry);
    }
    return list;
  });
}

Napi::Value DenoiserObject::bufferSize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<double>(model()->parameters().layout().size));
  });
}

Napi::Value DenoiserObject::device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::String::New(info.Env(), model()->backend().describe());
  });
}

Napi::Value DenoiserObject::initialise(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::uint64_t seed = argument(info, 0, "seed").natural();
    const auto work = [seed](Model& m) {
      m.parameters().initialise(seed);
      return Nothing{};
    };
    return start(info, model(), work, undefined);
  });
}

Napi::Value DenoiserObject::read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::string buffer = argument(info, 0, "buffer").string();
    const std::int64_t offset = argument(info, 1, "offset").integer();
    const std::int64_t size = argument(info, 2, "size").integer();
    require(size >= 0, "ARGUMENT_RANGE", "size must be at least 0");
    const auto work = [=](Model& m) {
      std::vector<float> values(static_cast<std::size_t>(size));
      m.parameters().read(buffer, offset, {values.data(), size});
      return values;
    };
    return start(info, model(), work,
                 [](Napi::Env env, std::vector<float>& values) { return toArray(env, values); });
  });
}

Napi::Value DenoiserObject::write(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::string buffer = argument(info, 0, "buffer").string();
    const std::int64_t offset = argument(info, 1, "offset").integer();
    const auto work = [=, values = argument(info, 2, "values").floats()](Model& m) {
      m.parameters().write(buffer, offset, {values.data(), static_cast<std::int64_t>(values.size())});
      return Nothing{};
    };
    return start(info, model(), work, undefined);
  });
}

Napi::Value DenoiserObject::accumulate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const double scale = argument(info, 1, "gradientScale").number();
    const DropoutStream dropout{argument(info, 2, "dropoutSeed").natural(),
                                argument(info, 3, "step").natural()};
    const Activations kept = activations(argument(info, 4, "recompute"));
    const Field given = argument(info, 0, "input"), following = argument(info, 5, "next");
    std::optional<LossInput> batch;
    if (!model()->hasNext() || !refersTo(next_, given.value)) batch = lossInput(given);
    std::optional<LossInput> next;
    if (model()->stagesAhead()) next = readable(following);
    Napi::ObjectReference named;
    if (next) named = Napi::Weak(following.value.As<Napi::Object>());
    auto work = [=, batch = std::move(batch), next = std::move(next)](Model& m) {
      return m.accumulateAhead(batch ? &*batch : nullptr, next ? &*next : nullptr, scale, dropout, kept);
    };
    const Napi::Value outcome = start(info, model(), std::move(work), lossObject);
    next_ = std::move(named);
    return outcome;
  });
}

Napi::Value DenoiserObject::evaluate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto work = [input = lossInput(argument(info, 0, "input"))](Model& m) { return m.evaluate(input); };
    return start(info, model(), work, lossObject);
  });
}

Napi::Value DenoiserObject::update(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto work = [options = updateOptions(argument(info, 0, "options"))](Model& m) {
      return m.parameters().update(options);
    };
    return start(info, model(), work, [](Napi::Env env, ParameterStore::UpdateResult& result) -> Napi::Value {
      Napi::Object object = Napi::Object::New(env);
      object.Set("gradientNorm", result.gradientNorm);
      object.Set("applied", result.applied);
      return object;
    });
  });
}

Napi::Value DenoiserObject::predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Field rows = argument(info, 2, "rows");
    const bool allMasked = rows.missing();
    const WeightSource source = weightSource(argument(info, 3, "weights"));
    const auto work = [=, batch = cellBatch(argument(info, 0, "batch")),
                       conditioning = argument(info, 1, "conditioning").floats(),
                       chosen = allMasked ? std::vector<std::int32_t>{} : rows.int32s()](Model& m) {
      return m.predict(batch, conditioning, chosen, allMasked, source);
    };
    return start(info, model(), work,
                 [](Napi::Env env, std::shared_ptr<Prediction>& prediction) -> Napi::Value {
                   return PredictionObject::make(env, std::move(prediction));
                 });
  });
}

Napi::Value DenoiserObject::cancel(const Napi::CallbackInfo& info) {
  if (model_) model_->cancel();
  return info.Env().Undefined();
}

Napi::Value DenoiserObject::dispose(const Napi::CallbackInfo& info) {
  model_.reset();
  next_.Reset();
  return info.Env().Undefined();
}

}  // namespace ddsc::addon
