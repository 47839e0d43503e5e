// The emulator's device: host memory, and streams that run nothing before they have to, so that host code
// which forgets to wait, or to order one stream after another, reads stale values here as it would on a GPU.
#include "test/native/cuda/emulator/runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string_view>
#include <utility>

#include "cuda/errors.h"
#include "test/native/cuda/emulator/settings.h"
#include "test/native/cuda/emulator/stream_handle.h"

namespace ddsc::cuda {
namespace {

/// An event as it stood when it was recorded.
struct Moment {
  bool reached = false;
  Stream::State* stream = nullptr;  // that is to reach it
};

/// Something a stream does in its turn.
struct Piece {
  enum class Kind { kernel, copy, reach, runAfter };
  Kind kind;
  std::function<void()> work;
  std::shared_ptr<Moment> moment;
};

/// Of all threads of the host.
struct {
  std::atomic<int> waits, allocations, recordings, replays, copiesBeside;
} countsSoFar;
std::atomic<int> kernelsWaiting{0};  // in all streams
std::atomic<bool> copiesAreEarly = false;
std::atomic<std::int64_t> workDone{0};

/// Counts a piece of work; the one that DDSC_EMULATED_GPU names fails as a kernel with a wild address does.
void countWork() {
  if (++workDone != emulator::settings().failsAt) return;
  const std::string text = "the emulated GPU failed, as DDSC_EMULATED_GPU asked for";
  markDeviceLost(text);
  throw Error("CUDA_FAILED", text);
}

}  // namespace

struct Graph::State {
  std::vector<Piece> work;
};

struct Event::State {
  std::shared_ptr<Moment> moment;
};

struct Stream::State final : emulator::StreamHandle {
  std::deque<Piece> waiting;
  int kernels = 0;  // of those that wait
  std::vector<Piece> recorded;
  bool recording = false;
  std::shared_ptr<std::atomic<int>> held = std::make_shared<std::atomic<int>>(0);

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { abandon(); }

  void enqueue(std::function<void()> work) override { give({Piece::Kind::kernel, std::move(work), nullptr}); }

  void catchUp() override { runUntil(nullptr); }
  std::shared_ptr<std::atomic<int>> holds() override { return held; }

  void give(Piece piece) {
    if (recording) {
      recorded.push_back(std::move(piece));
      return;
    }
    if (piece.kind == Piece::Kind::kernel) countKernels(1);
    waiting.push_back(std::move(piece));
    if (copiesAreEarly && kernels == 0) runFreely();
  }

  /// Runs up to and with the piece that reaches the moment; everything where there is none.
  void runUntil(const Moment* last) {
    while (!waiting.empty()) {
      run(takeFirst());
      if (last != nullptr && last->reached) return;
    }
  }

 private:
  void runFreely() {
    while (!waiting.empty()) {
      const Piece& next = waiting.front();
      if (next.kind == Piece::Kind::runAfter && !next.moment->reached) return;
      run(takeFirst());
    }
  }

  Piece takeFirst() {
    Piece piece = std::move(waiting.front());
    waiting.pop_front();
    if (piece.kind == Piece::Kind::kernel) countKernels(-1);
    return piece;
  }

  void countKernels(int more) {
    kernels += more;
    kernelsWaiting += more;
  }

  void run(const Piece& piece) {
    switch (piece.kind) {
      case Piece::Kind::reach: piece.moment->reached = true; return;
      case Piece::Kind::runAfter:
        if (!piece.moment->reached) piece.moment->stream->runUntil(piece.moment.get());
        return;
      case Piece::Kind::kernel:
      case Piece::Kind::copy: break;
    }
    try {
      countWork();
      piece.work();
    } catch (...) {
      abandon();
      throw;
    }
  }

  /// What fails takes the rest of the stream with it.
  void abandon() {
    countKernels(-kernels);
    for (const Piece& piece : std::exchange(waiting, {}))
      if (piece.kind == Piece::Kind::reach) piece.moment->reached = true;
  }
};

namespace {

std::atomic<std::size_t> allocatedBytes{0};

/// In front of each allocation, so that freeing knows its size; keeps the alignment.
constexpr std::size_t kHeader = 256;

}  // namespace

DriverState driverState() {
  constexpr int kVersion = 13000, kOldVersion = 11040;
  const emulator::Settings& settings = emulator::settings();
  DriverState state;
  state.runtime = kVersion;
  if (!settings.hasDriver) return state;
  state.isTooOld = settings.isDriverOld;
  state.driver = state.isTooOld ? kOldVersion : kVersion;
  if (settings.hasGpu && !state.isTooOld) {
    const int major = settings.isGpuOld ? 7 : settings.isAmpere ? 8 : 9;
    const std::size_t sharedBytes = std::size_t{major == 9 ? 227U : 163U} << 10;
    state.devices.push_back(
        {"emulated GPU", major, settings.isGpuOld ? 5 : 0, settings.memoryBytes, 2, sharedBytes});
  }
  return state;
}

void useDevice(int device) {
  throwIfDeviceLost();
  require(device == 0, "CUDA_FAILED", "the emulator has one device, cuda:0");
}

std::vector<std::string> cublasLtNames() {
  const char* const given = std::getenv("DDSC_EMULATED_CUBLASLT");
  std::string_view left = given == nullptr ? "libcublasLt-of-the-emulator" : given;
  std::vector<std::string> names;
  for (std::size_t comma; (comma = left.find(',')) != std::string_view::npos; left = left.substr(comma + 1))
    names.emplace_back(left.substr(0, comma));
  names.emplace_back(left);
  return names;
}

MemoryState deviceMemory() {
  const std::size_t all = emulator::settings().memoryBytes;
  return {all - allocatedBytes, all};
}

void* allocateDevice(std::size_t bytes) {
  ++countsSoFar.allocations;
  const std::size_t whole = (bytes + 2 * kHeader - 1) / kHeader * kHeader;
  if (bytes > deviceMemory().freeBytes) throw outOfMemory(bytes);
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kHeader, whole));
  if (memory == nullptr) throw Error("CUDA_OUT_OF_MEMORY", "the host has no memory left to emulate a device");
  std::memcpy(memory, &bytes, sizeof bytes);
  std::memset(memory + kHeader, 0xFF, whole - kHeader);  // NaN, so that what nobody wrote is seen
  allocatedBytes += bytes;
  return memory + kHeader;
}

void freeDevice(void* memory) noexcept {
  if (memory == nullptr) return;
  ++countsSoFar.allocations;
  auto* start = static_cast<std::byte*>(memory) - kHeader;
  std::size_t bytes = 0;
  std::memcpy(&bytes, start, sizeof bytes);
  allocatedBytes -= bytes;
  std::free(start);
}

void* allocatePinned(std::size_t bytes) {
  ++countsSoFar.allocations;
  void* memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw Error("CUDA_OUT_OF_MEMORY", "no page-locked host memory left");
  return memory;
}

void freePinned(void* memory) noexcept {
  if (memory != nullptr) ++countsSoFar.allocations;
  std::free(memory);
}

Graph::Graph(std::unique_ptr<State> state) : state_(std::move(state)) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

Event::Event() : state_(std::make_unique<State>()) {}
Event::~Event() = default;
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;

bool Event::reached() const { return state_->moment == nullptr || state_->moment->reached; }

void Event::wait() const {
  if (reached()) return;
  ++countsSoFar.waits;
  const std::shared_ptr<Moment> moment = state_->moment;
  moment->stream->runUntil(moment.get());
}

Stream::Stream() : state_(std::make_unique<State>()) {}
Stream::~Stream() = default;

void* Stream::handle() { return static_cast<emulator::StreamHandle*>(state_.get()); }

void Stream::copyToDevice(void* to, const void* fromHost, std::size_t bytes) {
  if (bytes == 0) return;
  const auto work = [=, stream = state_.get()] {
    if (kernelsWaiting > stream->kernels) ++countsSoFar.copiesBeside;
    std::memcpy(to, fromHost, bytes);
  };
  state_->give({Piece::Kind::copy, work, nullptr});
}
void Stream::copyToHost(void* toHost, const void* from, std::size_t bytes) {
  copyOnDevice(toHost, from, bytes);
}
void Stream::copyOnDevice(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) state_->give({Piece::Kind::copy, [=] { std::memcpy(to, from, bytes); }, nullptr});
}
void Stream::fillZero(void* memory, std::size_t bytes) {
  if (bytes > 0) state_->give({Piece::Kind::kernel, [=] { std::memset(memory, 0, bytes); }, nullptr});
}

void Stream::synchronize() {
  require(!state_->recording, "CUDA_FAILED", "a stream cannot be waited for while it records");
  if (!state_->waiting.empty()) ++countsSoFar.waits;
  state_->runUntil(nullptr);
}

bool Stream::isDone() const { return state_->waiting.empty() && *state_->held == 0; }

void Stream::record(Event& event) {
  require(!state_->recording, "CUDA_FAILED", "an event must not be recorded into a graph");
  event.state().moment = std::make_shared<Moment>(Moment{false, state_.get()});
  state_->give({Piece::Kind::reach, {}, event.state().moment});
}

void Stream::runAfter(const Event& event) {
  require(!state_->recording, "CUDA_FAILED", "a graph must not wait for what is outside of it");
  if (!event.reached()) state_->give({Piece::Kind::runAfter, {}, event.state().moment});
}

void Stream::beginRecording() {
  ++countsSoFar.recordings;
  state_->recording = true;
}

Graph Stream::endRecording() {
  state_->recording = false;
  auto graph = std::make_unique<Graph::State>();
  graph->work = std::exchange(state_->recorded, {});
  return Graph(std::move(graph));
}

void Stream::replay(const Graph& graph) {
  ++countsSoFar.replays;
  for (const Piece& piece : graph.state().work) state_->give(piece);
}

namespace emulator {

void enqueue(Stream& stream, std::function<void()> work) { stream.state().enqueue(std::move(work)); }

Counts counts() {
  return {countsSoFar.waits, countsSoFar.allocations, countsSoFar.recordings, countsSoFar.replays,
          countsSoFar.copiesBeside};
}

EarlyCopies::EarlyCopies() { copiesAreEarly = true; }
EarlyCopies::~EarlyCopies() { copiesAreEarly = false; }

}  // namespace emulator

}  // namespace ddsc::cuda
