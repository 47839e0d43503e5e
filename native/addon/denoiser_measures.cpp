// What a denoiser says about itself: where its time goes, and what its device could do at most.
#include "addon/objects.h"

namespace ddsc::addon {

namespace {

const char* nameOf(DType type) { return type == DType::bf16 ? "bf16" : "fp32"; }

Napi::Value profileRows(Napi::Env env, std::vector<OpProfile>& rows) {
  Napi::Array list = Napi::Array::New(env, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const OpProfile& row = rows[i];
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("op", std::string(row.op));
    entry.Set("place", std::string(row.place));
    entry.Set("calls", static_cast<double>(row.calls));
    entry.Set("seconds", row.seconds);
    entry.Set("flops", row.cost.flops);
    entry.Set("bytes", row.cost.bytes);
    entry.Set("operands", nameOf(row.cost.operands));
    list.Set(static_cast<std::uint32_t>(i), entry);
  }
  return list;
}

}  // namespace

Napi::Value DenoiserObject::takeProfile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    require(profiler_ != nullptr, "MODEL_PROFILE",
            "this model keeps no profile; create it with profile: true");
    // The model keeps its backend, and so the profiler, alive.
    return thread().start(
        info.Env(), [profiler = profiler_](Model&) { return profiler->take(); }, profileRows);
  });
}

Napi::Value DenoiserObject::measureLimits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return thread().start(
        info.Env(), [](Model& m) { return m.backend().measureLimits(); },
        [](Napi::Env env, Limits& limits) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("fp32FlopsPerSecond", limits.floatFlops);
          result.Set("bf16FlopsPerSecond", limits.bf16Flops);
          result.Set("bytesPerSecond", limits.bytes);
          return result;
        });
  });
}

}  // namespace ddsc::addon
