#include "addon/communicator_object.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/async.h"
#include "addon/devices.h"
#include "addon/model_thread.h"
#include "addon/objects.h"
#include "cluster/mpi.h"
#include "cluster/tcp.h"

namespace ddsc::addon {

namespace {

using Bytes = std::vector<std::uint8_t>;

Napi::Value bytesArray(Napi::Env env, const Bytes& bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

std::vector<std::string> texts(const Field& list) {
  if (!list.value.IsArray()) throw Error("ARGUMENT_TYPE", "expected an array for " + list.name);
  const auto array = list.value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (std::uint32_t i = 0; i < array.Length(); ++i) strings.push_back(Field{array[i], list.name}.string());
  return strings;
}

cluster::TcpJob tcpJob(const Field& given) {
  cluster::TcpJob job;
  job.rank = static_cast<int>(given["rank"].natural());
  job.token = given["token"].string();
  job.seconds = given["seconds"].number();
  const Field peers = given["peers"];
  if (!peers.value.IsArray()) throw Error("ARGUMENT_TYPE", "expected an array for peers");
  const auto array = peers.value.As<Napi::Array>();
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const Field peer{array[i], "peers"};
    job.peers.push_back({texts(peer["hosts"]), static_cast<int>(peer["port"].natural())});
  }
  require(static_cast<std::size_t>(job.rank) < job.peers.size(), "ARGUMENT_RANGE",
          "rank is not among the peers");
  return job;
}

}  // namespace

Napi::Function CommunicatorObject::define(Napi::Env env) {
  return DefineClass(
      env, "Communicator",
      {InstanceAccessor<&CommunicatorObject::port>("port"), InstanceMethod<&CommunicatorObject::join>("join"),
       InstanceMethod<&CommunicatorObject::gather>("gather"),
       InstanceMethod<&CommunicatorObject::broadcast>("broadcast"),
       InstanceMethod<&CommunicatorObject::findNccl>("findNccl"),
       InstanceMethod<&CommunicatorObject::newNcclId>("newNcclId"),
       InstanceMethod<&CommunicatorObject::joinNccl>("joinNccl"),
       InstanceMethod<&CommunicatorObject::dropNccl>("dropNccl"),
       InstanceMethod<&CommunicatorObject::giveUp>("giveUp"),
       InstanceMethod<&CommunicatorObject::leave>("leave")});
}

CommunicatorObject::CommunicatorObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CommunicatorObject>(info) {
  guarded(info.Env(), [&] {
    const Field libraries = argument(info, 0, "libraries");
    if (libraries.missing()) {
      listening_ = std::make_shared<cluster::Listening>(cluster::listenAnywhere());
    } else {
      libraries_ = texts(libraries);
    }
    communicator_ = std::make_shared<cluster::Communicator>(argument(info, 1, "seconds").number());
  });
}

std::shared_ptr<cluster::Communicator> CommunicatorObject::from(const Napi::Value& value) {
  const Napi::Function constructor = value.Env().GetInstanceData<EnvironmentData>()->communicator.Value();
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor))
    throw Error("ARGUMENT_TYPE", "expected a communicator");
  return Unwrap(value.As<Napi::Object>())->communicator_;
}

Napi::Value CommunicatorObject::port(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), listening_ != nullptr ? listening_->port : 0);
}

Napi::Value CommunicatorObject::join(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    std::function<std::unique_ptr<cluster::Transport>()> make = [libraries = libraries_] {
      return cluster::loadMpi(libraries);
    };
    if (listening_ != nullptr) {
      make = [listening = listening_, job = tcpJob(argument(info, 0, "job"))] {
        return cluster::makeTcp(std::move(listening->socket), job);
      };
    }
    return Job<cluster::Communicator::Membership>::start(
        info.Env(), [c = communicator_, make] { return c->join(make); },
        [](Napi::Env env, cluster::Communicator::Membership& joined) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("rank", joined.rank);
          result.Set("size", joined.size);
          result.Set("file", joined.file);
          result.Set("version", joined.version);
          result.Set("abi", joined.abi);
          return result;
        });
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
        [c = communicator_, message = argument(info, 0, "message").bytes(),
         root = static_cast<int>(argument(info, 1, "root").integer())] {
          return c->broadcast(message, root);
        },
        [](Napi::Env env, Bytes& received) -> Napi::Value { return bytesArray(env, received); });
  });
}

Napi::Value CommunicatorObject::findNccl(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    using Library = std::shared_ptr<const cluster::NcclLibrary>;
    return Job<Library>::start(
        info.Env(),
        [found = nccl_, names = texts(argument(info, 0, "libraries"))] {
          return *found = std::make_shared<const cluster::NcclLibrary>(names);
        },
        [](Napi::Env env, Library& library) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("file", library->file());
          result.Set("version", library->version());
          return result;
        });
  });
}

Napi::Value CommunicatorObject::newNcclId(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require(*nccl_ != nullptr, "CLUSTER_NCCL", "NCCL was not found");
    return Job<Bytes>::start(
        info.Env(),
        [library = *nccl_] {
          const cluster::NcclId id = library->newId();
          return Bytes(id.begin(), id.end());
        },
        [](Napi::Env env, Bytes& id) -> Napi::Value { return bytesArray(env, id); });
  });
}

Napi::Value CommunicatorObject::joinNccl(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require(*nccl_ != nullptr, "CLUSTER_NCCL", "NCCL was not found");
    const Bytes given = argument(info, 1, "id").bytes();
    cluster::NcclId id{};
    require(given.size() == id.size(), "ARGUMENT_RANGE", "an identifier of NCCL has 128 bytes");
    std::copy(given.begin(), given.end(), id.begin());
    return Job<Nothing>::start(
        info.Env(),
        [c = communicator_, library = *nccl_, device = argument(info, 0, "device").string(), id,
         seconds = argument(info, 2, "seconds").number()] {
          makeCurrent(device);
          c->joinNccl(library, id, seconds);
          return Nothing{};
        },
        undefined);
  });
}

Napi::Value CommunicatorObject::dropNccl(const Napi::CallbackInfo& info) {
  communicator_->dropNccl();
  return info.Env().Undefined();
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
