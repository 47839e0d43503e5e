// Stands in for NVIDIA's NCCL on the emulated GPU, whose memory is the host's: the functions that are used, by
// what NVIDIA documents of them, over memory that the processes share. Written from that documentation and not
// with our own declarations (cluster/nccl.h), so that a mistake there shows here. Communicators do not block.
//
// DDSC_STAND_IN_NCCL makes it another library, on the rank that RANK says or on all: "old" (version 2.10),
// "other@1" (another version on rank 1), "duplicate" (two ranks have one GPU), "absent@1" (rank 1 never
// joins), "stuck@1" (the third sum of rank 1 never comes), "fails@1" (the third sum of rank 1 is an error that comes later).
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "test/native/cuda/emulator/stream_handle.h"

#define STAND_IN extern "C" __attribute__((visibility("default")))

namespace {

enum : int {
  ncclSuccess = 0,
  ncclSystemError = 2,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
};
constexpr int ncclFloat32 = 7, ncclSum = 0;

constexpr int kMostRanks = 8;
constexpr std::size_t kMostFloats = std::size_t{1} << 23;

/// What the processes share; the pages that nobody writes take no memory.
struct Shared {
  std::atomic<int> joined, left;
  std::atomic<std::uint64_t> published[kMostRanks], taken[kMostRanks];
  float values[kMostRanks][kMostFloats];
};

/// A sum, or what `root` gives to all, that is not done.
struct Pending {
  const float* from = nullptr;
  float* to = nullptr;
  std::size_t count = 0;
  ddsc::cuda::emulator::StreamHandle* stream = nullptr;
  int root = -1;
  bool isPublished = false, isEnqueued = false;
};

struct Communicator {
  Shared* shared;
  std::string name;
  int rank, size;
  bool isJoined = false, isStuck = false, isLeaving = false, hasLeft = false;
  int error = ncclSuccess;
  std::uint64_t sums = 0;
  Pending pending;
};

bool is(const char* fault) {
  const char* const asked = std::getenv("DDSC_STAND_IN_NCCL");
  if (asked == nullptr) return false;
  const char* const rank = std::getenv("RANK");
  const std::string own = std::string(fault) + "@" + (rank == nullptr ? "" : rank);
  return own == asked || std::strcmp(fault, asked) == 0;
}

struct UniqueId {
  char internal[128];
};

struct Config {
  std::size_t size;
  unsigned magic, version;
  int blocking;
};

Shared* map(const char* name) {
  const int file = shm_open(name, O_RDWR, 0600);
  if (file < 0) return nullptr;
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<Shared*>(memory);
}

/// Goes on with what waits for the others; whether it is done.
bool advance(Communicator& c) {
  if (c.isStuck) return false;
  if (!c.isJoined) {
    c.isJoined = !is("absent") && c.shared->joined == c.size;
    return c.isJoined;
  }
  if (c.isLeaving) {
    c.hasLeft = c.shared->left == c.size;
    return c.hasLeft;
  }
  Pending& p = c.pending;
  if (p.stream == nullptr) return true;
  Shared& shared = *c.shared;
  if (!p.isPublished) {
    for (int r = 0; r < c.size; ++r)
      if (shared.taken[r] + 1 < c.sums) return false;
    p.stream->catchUp();
    std::memcpy(shared.values[c.rank], p.from, p.count * sizeof(float));
    shared.published[c.rank] = c.sums;
    p.isPublished = true;
  }
  for (int r = 0; r < c.size; ++r)
    if (shared.published[r] < c.sums) return false;
  if (!p.isEnqueued) {
    p.stream->enqueue([&c, to = p.to, count = p.count, root = p.root] {
      // From the last rank on: an order that is not the host's.
      std::vector<float> sum(count, 0.0F);
      for (int r = c.size; r-- > 0;)
        if (root < 0 || r == root)
          for (std::size_t i = 0; i < count; ++i) sum[i] += c.shared->values[r][i];
      std::memcpy(to, sum.data(), count * sizeof(float));
      c.shared->taken[c.rank] = c.sums;
    });
    p.isEnqueued = true;
    return true;
  }
  p.stream->catchUp();
  p = {};
  return true;
}

}  // namespace

STAND_IN int ncclGetVersion(int* version) {
  *version = is("old") ? 21003 : is("other") ? 21805 : 22304;
  return ncclSuccess;
}

STAND_IN const char* ncclGetErrorString(int result) {
  switch (result) {
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "no error";
  }
}

STAND_IN const char* ncclGetLastError(void*) {
  return is("duplicate") ? "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 0" : "";
}

STAND_IN int ncclGetUniqueId(UniqueId* id) {
  std::random_device random;
  std::memset(id->internal, 0, sizeof id->internal);
  std::snprintf(id->internal, sizeof id->internal, "/ddsc-nccl-%08x%08x", random(), random());
  const int file = shm_open(id->internal, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return ncclSystemError;
  close(file);
  return ncclSuccess;
}

STAND_IN int ncclCommInitRankConfig(void** communicator, int size, UniqueId id, int rank, const Config* config) {
  const bool isConfig = config->size >= 20 && config->magic == 0xcafebeef && config->version >= 21400;
  if (!isConfig || config->blocking != 0) return ncclInvalidArgument;
  if (size < 1 || size > kMostRanks || rank < 0 || rank >= size) return ncclInvalidArgument;
  Shared* const shared = map(id.internal);
  if (shared == nullptr) return ncclSystemError;
  auto* const c = new Communicator{.shared = shared, .name = id.internal, .rank = rank, .size = size, .pending = {}};
  *communicator = c;
  if (!is("absent") && ++shared->joined == size) shm_unlink(id.internal);
  if (is("duplicate")) return ncclInvalidUsage;
  return ncclInProgress;
}

STAND_IN int ncclCommGetAsyncError(void* communicator, int* error) {
  auto& c = *static_cast<Communicator*>(communicator);
  *error = c.error != ncclSuccess ? c.error : advance(c) ? ncclSuccess : ncclInProgress;
  return ncclSuccess;
}

STAND_IN int ncclAllReduce(const void* from, void* to, std::size_t count, int type, int operation,
                           void* communicator, void* stream) {
  auto& c = *static_cast<Communicator*>(communicator);
  if (type != ncclFloat32 || operation != ncclSum || count > kMostFloats) return ncclInvalidArgument;
  if (!c.isJoined || c.pending.stream != nullptr) return ncclInvalidUsage;
  ++c.sums;
  if (is("fails") && c.sums == 3) {
    c.error = ncclRemoteError;
    return ncclInProgress;
  }
  if (is("stuck") && c.sums == 3) {
    c.isStuck = true;
    return ncclInProgress;
  }
  c.pending = {static_cast<const float*>(from), static_cast<float*>(to), count,
               static_cast<ddsc::cuda::emulator::StreamHandle*>(stream)};
  return ncclInProgress;
}

STAND_IN int ncclBroadcast(const void* from, void* to, std::size_t count, int type, int root, void* communicator,
                           void* stream) {
  const auto& c = *static_cast<Communicator*>(communicator);
  if (root < 0 || root >= c.size) return ncclInvalidArgument;
  const int result = ncclAllReduce(from, to, count, type, ncclSum, communicator, stream);
  static_cast<Communicator*>(communicator)->pending.root = root;
  return result;
}

STAND_IN int ncclCommFinalize(void* communicator) {
  auto& c = *static_cast<Communicator*>(communicator);
  c.isLeaving = true;
  ++c.shared->left;
  return ncclInProgress;
}

STAND_IN int ncclCommDestroy(void* communicator) {
  auto* const c = static_cast<Communicator*>(communicator);
  if (!c->hasLeft) return ncclInvalidUsage;
  delete c;
  return ncclSuccess;
}

STAND_IN int ncclCommAbort(void* communicator) {
  auto* const c = static_cast<Communicator*>(communicator);
  if (c->rank == 0) shm_unlink(c->name.c_str());
  // Nothing is left on the stream that would use it.
  if (c->pending.isEnqueued) c->pending.stream->catchUp();
  delete c;
  return ncclSuccess;
}
