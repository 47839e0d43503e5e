#include "cluster/mpi.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "core/errors.h"

namespace ddsc::cluster {
namespace {

/// What libraries give more room than any of them needs: version texts have 8192 characters at most, errors
/// 512, a status 32 bytes.
constexpr std::size_t kText = 8192 + 1;
constexpr std::size_t kStatus = 256;

/// Constants of a binary interface. Handles are pointers, but for MPICH, where they are ints.
template <class Handle>
struct Constants {
  const char* abi;
  Handle world, byte, errorsReturn;
  int threadFunneled;
};

template <class Handle>
class MpiOf final : public Transport {
 public:
  MpiOf(void* library, const Constants<Handle>& constants) : constants_(constants) {
    abi = constants.abi;
    find(library, "MPI_Initialized", initialized_);
    find(library, "MPI_Init_thread", initThread_);
    find(library, "MPI_Finalize", finalize_);
    find(library, "MPI_Comm_rank", commRank_);
    find(library, "MPI_Comm_size", commSize_);
    find(library, "MPI_Comm_set_errhandler", setErrorHandler_);
    find(library, "MPI_Error_string", errorString_);
    find(library, "MPI_Ialltoall", allToAll_);
    find(library, "MPI_Iallgather", allGather_);
    find(library, "MPI_Ibcast", broadcast_);
    find(library, "MPI_Test", test_);
  }

  /// The first function that the library does not have; empty: all are found.
  const std::string& missing() const { return missing_; }

  const char* code() const override { return "CLUSTER_MPI"; }

  void initialise() override {
    int already = 0;
    check(initialized_(&already), "MPI_Initialized");
    require(already == 0, "CLUSTER_MPI",
            "MPI was initialised by another part of this process, whose thread it belongs to");
    int provided = 0;
    check(initThread_(nullptr, nullptr, constants_.threadFunneled, &provided), "MPI_Init_thread");
    require(provided >= constants_.threadFunneled, "CLUSTER_MPI",
            "this MPI library supports no threads (MPI_THREAD_FUNNELED); use one that does");
    // Where that fails errors end the process, with a message of the library's own.
    static_cast<void>(setErrorHandler_(constants_.world, constants_.errorsReturn));
  }

  int rank() override {
    int value = 0;
    check(commRank_(constants_.world, &value), "MPI_Comm_rank");
    return value;
  }

  int size() override {
    int value = 0;
    check(commSize_(constants_.world, &value), "MPI_Comm_size");
    return value;
  }

  void startAllToAll(const void* from, void* to, int bytes) override {
    const Constants<Handle>& c = constants_;
    check(allToAll_(from, bytes, c.byte, to, bytes, c.byte, c.world, &request_), "MPI_Ialltoall");
  }

  void startAllGather(const void* from, void* to, int bytes) override {
    const Constants<Handle>& c = constants_;
    check(allGather_(from, bytes, c.byte, to, bytes, c.byte, c.world, &request_), "MPI_Iallgather");
  }

  void startBroadcast(void* block, int bytes, int root) override {
    check(broadcast_(block, bytes, constants_.byte, root, constants_.world, &request_), "MPI_Ibcast");
  }

  bool test() override {
    int done = 0;
    check(test_(&request_, &done, status_.data()), "MPI_Test");
    return done != 0;
  }

  void finalise() override { check(finalize_(), "MPI_Finalize"); }

 private:
  template <class Function>
  void find(void* library, const char* name, Function*& function) {
    function = reinterpret_cast<Function*>(dlsym(library, name));
    if (function == nullptr && missing_.empty()) missing_ = name;
  }

  void check(int status, const char* call) {
    if (status == 0) return;
    std::array<char, kText> text{};
    int length = 0;
    const bool told = errorString_(status, text.data(), &length) == 0;
    throw Error("CLUSTER_MPI",
                std::string(call) + " failed: " + (told ? text.data() : "error " + std::to_string(status)));
  }

  Constants<Handle> constants_;
  Handle request_{};
  alignas(16) std::array<std::byte, kStatus> status_{};
  std::string missing_;

  int (*initialized_)(int*) = nullptr;
  int (*initThread_)(int*, char***, int, int*) = nullptr;
  int (*finalize_)() = nullptr;
  int (*commRank_)(Handle, int*) = nullptr;
  int (*commSize_)(Handle, int*) = nullptr;
  int (*setErrorHandler_)(Handle, Handle) = nullptr;
  int (*errorString_)(int, char*, int*) = nullptr;
  int (*allToAll_)(const void*, int, Handle, void*, int, Handle, Handle, Handle*) = nullptr;
  int (*allGather_)(const void*, int, Handle, void*, int, Handle, Handle, Handle*) = nullptr;
  int (*broadcast_)(void*, int, Handle, int, Handle, Handle*) = nullptr;
  int (*test_)(Handle*, int*, void*) = nullptr;
};

/// Handles of the standard interface are numbers in the place of addresses.
void* handleOf(std::uintptr_t number) { return reinterpret_cast<void*>(number); }

template <class Handle>
std::unique_ptr<Transport> made(void* library, const Constants<Handle>& constants, std::string& problem) {
  auto mpi = std::make_unique<MpiOf<Handle>>(library, constants);
  if (mpi->missing().empty()) return mpi;
  problem = "has no " + mpi->missing();
  return nullptr;
}

/// The library's own name and version, its first line.
std::string versionOf(void* library) {
  using GetVersion = int(char*, int*);
  auto* const get = reinterpret_cast<GetVersion*>(dlsym(library, "MPI_Get_library_version"));
  std::array<char, kText> text{};
  int length = 0;
  if (get == nullptr || get(text.data(), &length) != 0) return "";
  const std::string whole = text.data();
  std::string line = whole.substr(0, whole.find('\n'));
  for (char& c : line)
    if (c == '\t') c = ' ';
  return line;
}

/// Version of the standard interface that the library has, 0 where it has another.
int standardAbi(void* library) {
  using GetAbi = int(int*, int*);
  auto* const get = reinterpret_cast<GetAbi*>(dlsym(library, "MPI_Abi_get_version"));
  int major = 0, minor = 0;
  return get != nullptr && get(&major, &minor) == 0 && major > 0 ? major : 0;
}

/// Null, and why, where the library is none that is known.
std::unique_ptr<Transport> recognise(void* library, const std::string& version, std::string& problem) {
  if (version.empty()) {
    problem = "is no MPI library of version 3 or newer";
    return nullptr;
  }
  constexpr int kFunneled = 1, kStandardFunneled = 1024;
  if (standardAbi(library) > 0) {
    return made<void*>(library,
                       {"standard ABI", handleOf(0x101), handleOf(0x247), handleOf(0x142), kStandardFunneled},
                       problem);
  }
  if (void* const world = dlsym(library, "ompi_mpi_comm_world")) {
    void* const byte = dlsym(library, "ompi_mpi_byte");
    void* const errorsReturn = dlsym(library, "ompi_mpi_errors_return");
    if (byte != nullptr && errorsReturn != nullptr)
      return made<void*>(library, {"Open MPI", world, byte, errorsReturn, kFunneled}, problem);
  }
  for (const char* name : {"MPICH", "Intel(R) MPI", "CRAY", "MVAPICH", "ParaStation"}) {
    if (version.find(name) == std::string::npos) continue;
    return made<int>(library, {"MPICH ABI", 0x44000000, 0x4c00010d, 0x54000001, kFunneled}, problem);
  }
  problem = "is " + version + ", whose binary interface is none of Open MPI's, MPICH's and the standard one";
  return nullptr;
}

}  // namespace

std::unique_ptr<Transport> loadMpi(const std::vector<std::string>& names) {
  std::string problems;
  for (const std::string& name : names) {
    // Never unloaded, and global: Open MPI's own plug-ins look for its functions there.
    void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    std::string problem;
    if (library == nullptr) {
      const char* const said = dlerror();
      problem = said != nullptr ? said : name + " does not load";
    } else {
      const std::string version = versionOf(library);
      if (std::unique_ptr<Transport> mpi = recognise(library, version, problem)) {
        mpi->file = name;
        mpi->version = version;
        return mpi;
      }
      problem = name + " " + problem;
    }
    problems += (problems.empty() ? "" : "; ") + problem;
  }
  throw Error("CLUSTER_MPI_LIBRARY", "no MPI library could be loaded: " + problems +
                                         "; install the MPI of the launcher (Debian: libopenmpi3 or "
                                         "libmpich12), or name its library with DDSC_MPI_LIBRARY");
}

}  // namespace ddsc::cluster
