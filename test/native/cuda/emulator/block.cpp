#include "test/native/cuda/emulator/block.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/errors.h"
#include "test/native/cuda/emulator/fiber.h"

namespace ddsc::cuda::emulator {
namespace {

struct Copy {
  std::byte* to;
  const std::byte* from;
  std::size_t valid;
};

constexpr std::size_t kCopyBytes = 16;

struct Thread {
  Fiber fiber;
  bool finished = false;
  bool atBarrier = false;
  bool inWarpOperation = false;
  std::vector<Copy> uncommitted;
  std::deque<std::vector<Copy>> groups;

  bool copying() const {
    return !uncommitted.empty() ||
           std::any_of(groups.begin(), groups.end(), [](const auto& group) { return !group.empty(); });
  }
};

/// At least so many threads. They are kept from grid to grid: their stacks cost more than small grids do.
std::deque<Thread>& keptThreads(std::size_t count) {
  thread_local std::deque<Thread> threads;
  while (threads.size() < count) threads.emplace_back();
  return threads;
}

/// The operation a warp's lanes are meeting at.
struct Warp {
  const char* operation = nullptr;
  int arrived = 0;
  void* lanes[kWarpSize] = {};
  std::uint32_t barriers = 0;
};

/// The grid under way and its block.
class Run {
 public:
  Run(const char* kernel, const GridShape& shape, const std::function<void()>& body)
      : kernel_(kernel),
        shape_(shape),
        body_(body),
        count_(static_cast<std::size_t>(shape.threads)),
        threads_(keptThreads(count_)),
        warps_(count_ / kWarpSize),
        order_(count_) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  void runBlock(Index block) {
    block_ = block;
    // A stride prime to the number of threads (a multiple of 32): another order in each block.
    const std::size_t count = count_;
    const std::size_t stride = static_cast<std::size_t>(2 * block.x + 1) % count | 1;
    ++barriers_;
    memory.begin(shape_.sharedBytes, barriers_);
    for (Warp& warp : warps_) warp = {};
    for (std::size_t i = 0; i < count; ++i) {
      Thread& thread = threads_[i];
      thread.finished = thread.atBarrier = thread.inWarpOperation = false;
      thread.uncommitted.clear();
      thread.groups.clear();
      thread.fiber.start(body_);
      order_[i] = std::gcd(stride, count) == 1 ? i * stride % count : i;
    }
    std::size_t alive = count;
    while (alive > 0) {
      bool moved = false;
      for (const std::size_t i : order_) {
        Thread& thread = threads_[i];
        if (thread.finished || thread.atBarrier || thread.inWarpOperation) continue;
        running_ = static_cast<int>(i);
        moved = true;
        thread.fiber.resume();
        thread.finished = thread.fiber.finished();
        if (thread.finished) {
          --alive;
          if (thread.copying())
            throw std::runtime_error("the thread ended with an asynchronous copy under way");
        }
      }
      if (!moved) throw std::runtime_error(stalled());
    }
  }

  void syncBlock() {
    Thread& self = threads_[static_cast<std::size_t>(running_)];
    self.atBarrier = true;
    if (++waiting_ == shape_.threads) {
      waiting_ = 0;
      ++barriers_;
      for (std::size_t i = 0; i < count_; ++i) threads_[i].atBarrier = false;
      return;
    }
    Fiber::pause();
  }

  void warpOperation(const char* name, void* lane, void (*compute)(void* const* lanes)) {
    Warp& warp = warps_[static_cast<std::size_t>(running_ / kWarpSize)];
    if (warp.arrived == 0) warp.operation = name;
    if (warp.operation != name && std::strcmp(warp.operation, name) != 0)
      throw std::runtime_error(std::string("lanes of one warp meet at different operations: ") +
                               warp.operation + " and " + name);
    warp.lanes[running_ % kWarpSize] = lane;
    if (++warp.arrived < kWarpSize) {
      threads_[static_cast<std::size_t>(running_)].inWarpOperation = true;
      Fiber::pause();
      return;
    }
    compute(warp.lanes);
    warp.arrived = 0;
    const std::size_t first = static_cast<std::size_t>(running_ / kWarpSize * kWarpSize);
    for (std::size_t i = 0; i < kWarpSize; ++i) threads_[first + i].inWarpOperation = false;
  }

  void warpBarrierPassed() { ++warps_[static_cast<std::size_t>(running_ / kWarpSize)].barriers; }

  Moment now() const {
    return {running_, barriers_, warps_[static_cast<std::size_t>(running_ / kWarpSize)].barriers};
  }

  Thread& running() { return threads_[static_cast<std::size_t>(running_)]; }
  int runningIndex() const { return running_; }
  Index block() const { return block_; }
  const GridShape& shape() const { return shape_; }

  std::string place() const {
    return std::string(kernel_) + ", block (" + std::to_string(block_.x) + ", " + std::to_string(block_.y) +
           ", " + std::to_string(block_.z) + "), thread " + std::to_string(running_) + ": ";
  }

  SharedMemory memory;

 private:
  std::string stalled() const {
    std::string text = "the block is stuck:";
    int shown = 0;
    for (std::size_t i = 0; i < count_ && shown < 4; ++i) {
      const Thread& thread = threads_[i];
      const std::size_t next = (i + 1) % count_;
      const auto state = [&](const Thread& t) { return t.finished ? 0 : t.atBarrier ? 1 : 2; };
      if (i > 0 && state(thread) == state(threads_[next]) && state(thread) == state(threads_[i - 1]))
        continue;
      ++shown;
      text += " thread " + std::to_string(i) +
              (thread.finished    ? " has ended;"
               : thread.atBarrier ? " waits at a barrier;"
                                  : std::string(" waits at ") + warps_[i / kWarpSize].operation + ";");
    }
    return text;
  }

  const char* kernel_;
  GridShape shape_;
  const std::function<void()>& body_;
  std::size_t count_;
  std::deque<Thread>& threads_;
  std::vector<Warp> warps_;
  std::vector<std::size_t> order_;
  Index block_;
  int running_ = 0;
  int waiting_ = 0;
  std::uint32_t barriers_ = 0;
};

Run*& current() {
  thread_local Run* run = nullptr;
  return run;
}

}  // namespace

void runGrid(const char* kernel, const GridShape& shape, const std::function<void()>& body) {
  require(shape.threads > 0 && shape.threads % kWarpSize == 0 && shape.threads <= 1024, "CUDA_EMULATOR",
          "a block must have a whole number of warps, at most 1024 threads");
  Run run(kernel, shape, body);
  current() = &run;
  try {
    for (int z = 0; z < shape.blocks.z; ++z)
      for (int y = 0; y < shape.blocks.y; ++y)
        for (int x = 0; x < shape.blocks.x; ++x) run.runBlock({x, y, z});
  } catch (const std::exception& error) {
    current() = nullptr;
    throw Error("CUDA_EMULATOR", run.place() + error.what());
  }
  current() = nullptr;
}

int threadIndex() { return current()->runningIndex(); }
Index blockIndex() { return current()->block(); }
const GridShape& gridShape() { return current()->shape(); }
void fault(const std::string& what) { throw std::runtime_error(what); }

void syncBlock() { current()->syncBlock(); }

void warpOperation(const char* name, void* lane, void (*compute)(void* const* lanes)) {
  current()->warpOperation(name, lane, compute);
}

void syncWarp() {
  current()->warpOperation("syncWarp", nullptr, [](void* const*) { current()->warpBarrierPassed(); });
}

std::byte* sharedMemory() { return current()->memory.data(); }

void sharedRead(const void* address, std::size_t bytes, std::size_t alignment) {
  Run& run = *current();
  run.memory.read(run.now(), address, bytes, alignment);
}

void sharedWrite(const void* address, std::size_t bytes, std::size_t alignment) {
  Run& run = *current();
  run.memory.write(run.now(), address, bytes, alignment);
}

void copyAsync(void* toShared, const void* from, std::size_t valid) {
  Run& run = *current();
  if (valid > 0 && reinterpret_cast<std::uintptr_t>(from) % kCopyBytes != 0)
    fault("misaligned source of an asynchronous copy");
  run.memory.copyBegins(run.now(), toShared, kCopyBytes);
  run.running().uncommitted.push_back(
      {static_cast<std::byte*>(toShared), static_cast<const std::byte*>(from), valid});
}

void commitCopies() {
  Thread& thread = current()->running();
  thread.groups.push_back(std::move(thread.uncommitted));
  thread.uncommitted.clear();
}

void waitForCopies(int pending) {
  Run& run = *current();
  Thread& thread = run.running();
  while (thread.groups.size() > static_cast<std::size_t>(pending)) {
    for (const Copy& copy : thread.groups.front()) {
      std::memset(copy.to, 0, kCopyBytes);
      if (copy.valid > 0) std::memcpy(copy.to, copy.from, copy.valid);
      run.memory.copyLands(run.now(), copy.to, kCopyBytes);
    }
    thread.groups.pop_front();
  }
}

}  // namespace ddsc::cuda::emulator
