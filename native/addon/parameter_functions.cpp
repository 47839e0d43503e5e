// What can be said of weights without a model to hold them.
#include "addon/async.h"
#include "addon/borrowed.h"
#include "addon/inputs.h"
#include "addon/objects.h"
#include "core/finite.h"

namespace ddsc::addon {

Napi::Value parameterList(Napi::Env env, const ParameterLayout& layout) {
  Napi::Array list = Napi::Array::New(env);
  for (const Parameter* p : layout.all()) {
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
}

Napi::Value modelParameters(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const DenoiserConfig config = denoiserConfig(argument(info, 0, "config"));
    check(config);
    return parameterList(info.Env(), ParameterLayout(config));
  });
}

Napi::Value firstNotFinite(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto values = borrowed<Napi::Float32Array>(argument(info, 0, "values"), napi_float32_array);
    const auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[0].As<Napi::Object>()));
    return Job<std::int64_t>::start(
        info.Env(),
        [values] { return ddsc::firstNotFinite({values.data(), static_cast<std::int64_t>(values.size())}); },
        [held](Napi::Env env, std::int64_t& found) -> Napi::Value {
          return Napi::Number::New(env, static_cast<double>(found));
        });
  });
}

}  // namespace ddsc::addon
