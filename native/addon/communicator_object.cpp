#include "addon/communicator_object.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/async.h"
#include "addon/model_thread.h"
#include "addon/objects.h"

namespace ddsc::addon {

namespace {

using Bytes = std::vector<std::uint8_t>;

Napi::Value bytesArray(Napi::Env env, const Bytes& bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

}  // namespace

Napi::Function CommunicatorObject::define(Napi::Env env) {
  return DefineClass(env, "Communicator",
                     {InstanceMethod<&CommunicatorObject::join>("join"),
                      InstanceMethod<&CommunicatorObject::gather>("gather"),
                      InstanceMethod<&CommunicatorObject::broadcast>("broadcast"),
                      InstanceMethod<&CommunicatorObject::giveUp>("giveUp"),
                      InstanceMethod<&CommunicatorObject::leave>("leave")});
}

CommunicatorObject::CommunicatorObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CommunicatorObject>(info) {
  guarded(info.Env(), [&] {
    const Field libraries = argument(info, 0, "libraries");
    if (!libraries.value.IsArray()) throw Error("ARGUMENT_TYPE", "expected an array for libraries");
    const auto list = libraries.value.As<Napi::Array>();
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < list.Length(); ++i) names.push_back(Field{list[i], "libraries"}.string());
    communicator_ =
        std::make_shared<cluster::Communicator>(std::move(names), argument(info, 1, "seconds").number());
  });
}

std::shared_ptr<cluster::Communicator> CommunicatorObject::from(const Napi::Value& value) {
  const Napi::Function constructor = value.Env().GetInstanceData<EnvironmentData>()->communicator.Value();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor))
    throw Error("ARGUMENT_TYPE", "expected a communicator");
  return Unwrap(value.As<Napi::Object>())->communicator_;
}

Napi::Value CommunicatorObject::join(const Napi::CallbackInfo& info) {
  return Job<cluster::Communicator::Membership>::start(
      info.Env(), [c = communicator_] { return c->join(); },
      [](Napi::Env env, cluster::Communicator::Membership& joined) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("rank", joined.rank);
        result.Set("size", joined.size);
        result.Set("file", joined.file);
        result.Set("version", joined.version);
        result.Set("abi", joined.abi);
        return result;
      });
}

Napi::Value CommunicatorObject::gather(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<std::vector<Bytes>>::start(
        info.Env(),
        [c = communicator_, message = argument(info, 0, "message").bytes()] { return c->gather(message); },
        [](Napi::Env env, std::vector<Bytes>& gathered) -> Napi::Value {
          Napi::Array result = Napi::Array::New(env, gathered.size());
          for (std::uint32_t i = 0; i < gathered.size(); ++i) result.Set(i, bytesArray(env, gathered[i]));
          return result;
        });
  });
}

Napi::Value CommunicatorObject::broadcast(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<Bytes>::start(
        info.Env(),
        [c = communicator_, message = argument(info, 0, "message").bytes()] { return c->broadcast(message); },
        [](Napi::Env env, Bytes& received) -> Napi::Value { return bytesArray(env, received); });
  });
}

Napi::Value CommunicatorObject::giveUp(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string code = argument(info, 0, "code").string();
    communicator_->giveUp(Error(code, argument(info, 1, "message").string()));
    return info.Env().Undefined();
  });
}

Napi::Value CommunicatorObject::leave(const Napi::CallbackInfo& info) {
  return Job<Nothing>::start(
      info.Env(),
      [c = communicator_] {
        c->leave();
        return Nothing{};
      },
      undefined);
}

}  // namespace ddsc::addon
