#pragma once
// Calls of a model that run off the event loop.

#include <memory>
#include <utility>

#include "addon/async.h"
#include "model/model.h"

namespace ddsc::addon {

/// Starts a call of the model: `work` runs off the event loop with the model kept alive.
template <class Work, class Finish>
Napi::Value start(const Napi::CallbackInfo& info, std::shared_ptr<Model> model, Work work, Finish finish) {
  using Result = decltype(work(*model));
  model->begin();
  return Job<Result>::start(
      info.Env(), [model = std::move(model), work = std::move(work)] { return work(*model); },
      std::move(finish));
}

struct Nothing {};

inline Napi::Value undefined(Napi::Env env, Nothing&) { return env.Undefined(); }

}  // namespace ddsc::addon
