#pragma once
// The JavaScript class of a cluster's collectives: see lib/native/communicator.ts.

#include <napi.h>

#include <memory>

#include "cluster/communicator.h"

namespace ddsc::addon {

class CommunicatorObject final : public Napi::ObjectWrap<CommunicatorObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CommunicatorObject(const Napi::CallbackInfo& info);

  /// Throws ARGUMENT_TYPE for any other value.
  static std::shared_ptr<cluster::Communicator> from(const Napi::Value& value);

 private:
  Napi::Value join(const Napi::CallbackInfo& info);
  Napi::Value gather(const Napi::CallbackInfo& info);
  Napi::Value broadcast(const Napi::CallbackInfo& info);
  Napi::Value giveUp(const Napi::CallbackInfo& info);
  Napi::Value leave(const Napi::CallbackInfo& info);

  std::shared_ptr<cluster::Communicator> communicator_;
};

}  // namespace ddsc::addon
