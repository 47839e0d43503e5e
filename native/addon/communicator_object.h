#pragma once
// The JavaScript class of a cluster's collectives: see lib/native/communicator.ts.

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/nccl.h"
#include "cluster/sockets.h"

namespace ddsc::addon {

class CommunicatorObject final : public Napi::ObjectWrap<CommunicatorObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit CommunicatorObject(const Napi::CallbackInfo& info);

  /// Throws ARGUMENT_TYPE for any other value.
  static std::shared_ptr<cluster::Communicator> from(const Napi::Value& value);

 private:
  Napi::Value port(const Napi::CallbackInfo& info);
  Napi::Value join(const Napi::CallbackInfo& info);
  Napi::Value gather(const Napi::CallbackInfo& info);
  Napi::Value broadcast(const Napi::CallbackInfo& info);
  Napi::Value findNccl(const Napi::CallbackInfo& info);
  Napi::Value newNcclId(const Napi::CallbackInfo& info);
  Napi::Value joinNccl(const Napi::CallbackInfo& info);
  Napi::Value dropNccl(const Napi::CallbackInfo& info);
  Napi::Value giveUp(const Napi::CallbackInfo& info);
  Napi::Value leave(const Napi::CallbackInfo& info);

  std::shared_ptr<cluster::Communicator> communicator_;
  std::vector<std::string> libraries_;             // over MPI
  std::shared_ptr<cluster::Listening> listening_;  // over TCP
  std::shared_ptr<std::shared_ptr<const cluster::NcclLibrary>> nccl_ =
      std::make_shared<std::shared_ptr<const cluster::NcclLibrary>>();  // once it is found
};

}  // namespace ddsc::addon
