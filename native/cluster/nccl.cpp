#include "cluster/nccl.h"

#include <dlfcn.h>

#include <thread>
#include <utility>

#include "core/errors.h"

namespace ddsc::cluster {

namespace {

// Values of nccl.h that no version changes.
constexpr int kSuccess = 0, kInProgress = 7;  // ncclResult_t
constexpr int kFloat32 = 7, kSum = 0;         // ncclDataType_t, ncclRedOp_t
constexpr int kLeastVersion = 21400;

/// ncclConfig_t of 2.14; later versions look at `version`, and take defaults for what came after it.
struct Config {
  std::size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef, version = kLeastVersion;
  int blocking = 0;
};
static_assert(sizeof(Config) == 24 && sizeof(NcclId) == 128);

struct UniqueId {
  NcclId bytes;
};

/// Rounds of waiting without sleep, then the sleep.
constexpr int kEager = 200;
constexpr std::chrono::microseconds kNap{50};

void pause(int round) {
  if (round < kEager) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

std::string versionText(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

struct NcclFunctions {
  int (*getVersion)(int*) = nullptr;
  int (*getUniqueId)(UniqueId*) = nullptr;
  int (*initRank)(void**, int size, UniqueId, int rank, Config*) = nullptr;
  int (*getAsyncError)(void*, int*) = nullptr;
  int (*allReduce)(const void* from, void* to, std::size_t count, int type, int operation, void*,
                   void* stream) = nullptr;
  int (*broadcast)(const void* from, void* to, std::size_t count, int type, int root, void*,
                   void* stream) = nullptr;
  int (*finalize)(void*) = nullptr;
  int (*destroy)(void*) = nullptr;
  int (*abort)(void*) = nullptr;
  const char* (*getErrorString)(int) = nullptr;
  const char* (*getLastError)(void*) = nullptr;
};

namespace {

template <class Function>
void find(void* library, const char* name, Function*& function, std::string& missing) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr && missing.empty()) missing = name;
}

/// The name of the first function that the library does not have; empty: all are found.
std::string findAll(void* library, NcclFunctions& f) {
  std::string missing;
  find(library, "ncclGetUniqueId", f.getUniqueId, missing);
  find(library, "ncclCommInitRankConfig", f.initRank, missing);
  find(library, "ncclCommGetAsyncError", f.getAsyncError, missing);
  find(library, "ncclAllReduce", f.allReduce, missing);
  find(library, "ncclBroadcast", f.broadcast, missing);
  find(library, "ncclCommFinalize", f.finalize, missing);
  find(library, "ncclCommDestroy", f.destroy, missing);
  find(library, "ncclCommAbort", f.abort, missing);
  find(library, "ncclGetErrorString", f.getErrorString, missing);
  find(library, "ncclGetLastError", f.getLastError, missing);
  return missing;
}

}  // namespace

NcclLibrary::NcclLibrary(const std::vector<std::string>& names)
    : functions_(std::make_unique<NcclFunctions>()) {
  std::string problems;
  for (const std::string& name : names) {
    const std::string problem = start(name);
    if (problem.empty()) return;
    problems += (problems.empty() ? "" : "; ") + problem;
  }
  throw Error("CLUSTER_NCCL", problems);
}

NcclLibrary::~NcclLibrary() = default;

std::string NcclLibrary::start(const std::string& name) {
  // Never unloaded: it has threads of its own.
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const said = dlerror();
    return said != nullptr ? said : name + " does not load";
  }
  std::string missing;
  find(library, "ncclGetVersion", functions_->getVersion, missing);
  int version = 0;
  if (!missing.empty() || functions_->getVersion(&version) != kSuccess) return name + " is no NCCL";
  // Up to 2.8 versions were numbered otherwise, and were smaller numbers.
  if (version < kLeastVersion) {
    return name + " is too old: version number " + std::to_string(version) + ", and " +
           versionText(kLeastVersion) + " is needed";
  }
  missing = findAll(library, *functions_);
  if (!missing.empty()) return name + " has no " + missing;
  file_ = name;
  version_ = versionText(version);
  return "";
}

NcclId NcclLibrary::newId() const {
  UniqueId id{};
  const int result = functions_->getUniqueId(&id);
  if (result != kSuccess) {
    throw Error("CLUSTER_NCCL", std::string("ncclGetUniqueId failed: ") + functions_->getErrorString(result));
  }
  return id.bytes;
}

Nccl::Nccl(std::shared_ptr<const NcclLibrary> library, const NcclId& id, int rank, int size,
           const Check& check)
    : library_(std::move(library)) {
  Config config;
  try {
    settle(library_->functions().initRank(&communicator_, size, {id}, rank, &config),
           "ncclCommInitRankConfig", check);
  } catch (...) {
    giveUp();
    throw;
  }
}

Nccl::~Nccl() { giveUp(); }

void Nccl::startSum(Backend& backend, Span<float> values, const Check& check) {
  void* const queue = backend.queueBeside();
  const auto sum = [&](void* communicator) {
    return library_->functions().allReduce(values.data, values.data, static_cast<std::size_t>(values.size),
                                           kFloat32, kSum, communicator, queue);
  };
  begin(ask(sum), "ncclAllReduce", check);
}

void Nccl::startBroadcast(Backend& backend, Span<float> values, int root, const Check& check) {
  void* const queue = backend.queueBeside();
  const auto give = [&](void* communicator) {
    return library_->functions().broadcast(values.data, values.data, static_cast<std::size_t>(values.size),
                                           kFloat32, root, communicator, queue);
  };
  begin(ask(give), "ncclBroadcast", check);
}

void Nccl::begin(int result, const char* call, const Check& check) {
  begun_ = call;
  try {
    settle(result, call, check);
  } catch (...) {
    giveUp();
    throw;
  }
}

void Nccl::finish(Backend& backend, const Check& check) {
  try {
    for (int round = 0; !backend.isDoneBeside(); ++round) {
      pollErrors(begun_);
      check();
      pause(round);
    }
  } catch (...) {
    // The device waits for peers that may be gone.
    giveUp();
    throw;
  }
  backend.joinBeside();
}

void Nccl::leave(const Check& check) {
  {
    const std::lock_guard lock(mutex_);
    if (communicator_ == nullptr) return;
  }
  try {
    settle(ask(library_->functions().finalize), "ncclCommFinalize", check);
  } catch (...) {
    giveUp();
    throw;
  }
  const std::lock_guard lock(mutex_);
  if (communicator_ != nullptr)
    static_cast<void>(library_->functions().destroy(std::exchange(communicator_, nullptr)));
}

void Nccl::settle(int result, const char* call, const Check& check) {
  for (int round = 0; result == kInProgress; ++round) {
    check();
    pause(round);
    result = asyncResult();
  }
  if (result != kSuccess) fail(result, call);
}

void Nccl::pollErrors(const char* call) const {
  const int result = asyncResult();
  if (result != kSuccess && result != kInProgress) fail(result, call);
}

int Nccl::asyncResult() const {
  int result = kSuccess;
  const int asked =
      ask([&](void* communicator) { return library_->functions().getAsyncError(communicator, &result); });
  if (asked != kSuccess) fail(asked, "ncclCommGetAsyncError");
  return result;
}

void Nccl::fail(int result, const char* call) const {
  const NcclFunctions& f = library_->functions();
  std::string last;
  {
    const std::lock_guard lock(mutex_);
    const char* const said = f.getLastError(communicator_);
    if (said != nullptr && *said != '\0') last = std::string(" (") + said + ")";
  }
  throw Error("CLUSTER_NCCL", std::string(call) + " failed: " + f.getErrorString(result) + last);
}

void Nccl::giveUp() noexcept {
  const std::lock_guard lock(mutex_);
  if (communicator_ != nullptr)
    static_cast<void>(library_->functions().abort(std::exchange(communicator_, nullptr)));
}

}  // namespace ddsc::cluster
