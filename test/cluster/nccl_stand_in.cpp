// Stands in for NVIDIA's NCCL on the emulated GPU, whose memory is the host's: the functions that are used, by
// what NVIDIA documents of them, over memory that the processes share. Written from that documentation and not
// with our own declarations (cluster/nccl.h), so that a mistake there shows here. Communicators do not block.
//
// DDSC_STAND_IN_NCCL makes it another library, on the rank that RANK says or on all: "old" (version 2.10),
// "other@1" (another version on rank 1), "duplicate" (two ranks have one GPU), "absent@1" (rank 1 never
// joins), "stuck@1" (a sum of rank 1 never comes), "fails@1" (a sum of rank 1 is an error that comes later); of these two
// DDSC_STAND_IN_SUM says which sum, from 1.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
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

/// A sum, or what `root` gives to all, that is not done: its stream is held meanwhile.
struct Pending {
  float* to;
  ddsc::cuda::emulator::StreamHandle* stream;
  int root;
  std::uint64_t number;
  std::shared_ptr<std::atomic<int>> holds;
  /// As they were in the stream's turn.
  std::shared_ptr<std::vector<float>> values;
  bool isPublished = false;
};

struct Communicator {
  Shared* shared;
  std::string name;
  int rank, size;
  bool isJoined = false, isStuck = false, isLeaving = false, hasLeft = false;
  /// Whether the last call is still putting its work on the stream.
  bool isBeginning = false;
  int error = ncclSuccess;
  std::uint64_t sums = 0;
  std::deque<Pending> pending;
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

/// Goes on with the first sum as far as the others are; whether it is done.
bool advance(Communicator& c, Pending& p) {
  Shared& shared = *c.shared;
  if (!p.isPublished) {
    for (int r = 0; r < c.size; ++r)
      if (shared.taken[r] + 1 < p.number) return false;
    p.stream->catchUp();
    std::copy(p.values->begin(), p.values->end(), shared.values[c.rank]);
    shared.published[c.rank] = p.number;
    p.isPublished = true;
  }
  for (int r = 0; r < c.size; ++r)
    if (shared.published[r] < p.number) return false;
  // From the last rank on: an order that is not the host's.
  std::fill(p.values->begin(), p.values->end(), 0.0F);
  for (int r = c.size; r-- > 0;)
    if (p.root < 0 || r == p.root)
      for (std::size_t i = 0; i < p.values->size(); ++i) (*p.values)[i] += shared.values[r][i];
  shared.taken[c.rank] = p.number;
  p.stream->enqueue([to = p.to, values = p.values] { std::copy(values->begin(), values->end(), to); });
  p.stream->catchUp();
  --*p.holds;
  return true;
}

/// Goes on with what waits for the others; whether the last call has done its part.
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
  // Work comes on the stream a little after the call, and runs when it can.
  if (std::exchange(c.isBeginning, false)) return false;
  while (!c.pending.empty() && advance(c, c.pending.front())) c.pending.pop_front();
  return true;
}

/// The sum, counted from 1, that is stuck or fails.
std::uint64_t faultySum() {
  const char* const given = std::getenv("DDSC_STAND_IN_SUM");
  return given == nullptr ? 1 : std::stoull(given);
}

/// Begins a sum, or with a root to give what that has to all.
int begin(Communicator& c, const void* from, void* to, std::size_t count, int type, int root, void* stream) {
  if (type != ncclFloat32 || count > kMostFloats) return ncclInvalidArgument;
  if (!c.isJoined || c.isBeginning) return ncclInvalidUsage;
  ++c.sums;
  if (is("fails") && c.sums == faultySum()) {
    c.error = ncclRemoteError;
    return ncclInProgress;
  }
  if (is("stuck") && c.sums == faultySum()) {
    c.isStuck = true;
    return ncclInProgress;
  }
  auto* const handle = static_cast<ddsc::cuda::emulator::StreamHandle*>(stream);
  const auto values = std::make_shared<std::vector<float>>(count);
  handle->enqueue([from = static_cast<const float*>(from), values] {
    std::copy(from, from + values->size(), values->begin());
  });
  const auto holds = handle->holds();
  ++*holds;
  c.pending.push_back({static_cast<float*>(to), handle, root, c.sums, holds, values});
  c.isBeginning = true;
  return ncclInProgress;
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
  if (operation != ncclSum) return ncclInvalidArgument;
  return begin(*static_cast<Communicator*>(communicator), from, to, count, type, -1, stream);
}

STAND_IN int ncclBroadcast(const void* from, void* to, std::size_t count, int type, int root, void* communicator,
                           void* stream) {
  auto& c = *static_cast<Communicator*>(communicator);
  if (root < 0 || root >= c.size) return ncclInvalidArgument;
  return begin(c, from, to, count, type, root, stream);
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
  for (const Pending& pending : c->pending) --*pending.holds;
  delete c;
  return ncclSuccess;
}
