// The emulator's device: host memory, and a stream that runs nothing before it has to, so that host code
// which forgets to wait reads stale values here as it would on a GPU.
#include "cuda/emulator/runtime.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/errors.h"
#include "cuda/emulator/settings.h"
#include "cuda/lost_device.h"
#include "cuda/out_of_memory.h"

namespace ddsc::cuda {

struct Graph::State {
  std::vector<std::function<void()>> work;
};

struct Stream::State {
  std::vector<std::function<void()>> waiting;
  std::vector<std::function<void()>> recorded;
  bool recording = false;
};

namespace {

std::atomic<std::size_t> allocatedBytes{0};
std::atomic<std::int64_t> workDone{0};

/// Counts a piece of work; the one that DDSC_EMULATED_GPU names fails as a kernel with a wild address does.
void countWork() {
  if (++workDone != emulator::settings().failsAt) return;
  const std::string text = "the emulated GPU failed, as DDSC_EMULATED_GPU asked for";
  rememberLoss(text);
  throw Error("CUDA_FAILED", text);
}

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
    state.devices.push_back({"emulated GPU", settings.isGpuOld ? 7 : 8, settings.isGpuOld ? 5 : 0,
                             settings.memoryBytes, 2, std::size_t{163} << 10});
  }
  return state;
}

void useDevice(int device) {
  throwIfLost();
  require(device == 0, "CUDA_FAILED", "the emulator has one device, cuda:0");
}

MemoryState deviceMemory() {
  const std::size_t all = emulator::settings().memoryBytes;
  return {all - allocatedBytes, all};
}

void* allocateDevice(std::size_t bytes) {
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
  auto* start = static_cast<std::byte*>(memory) - kHeader;
  std::size_t bytes = 0;
  std::memcpy(&bytes, start, sizeof bytes);
  allocatedBytes -= bytes;
  std::free(start);
}

void* allocatePinned(std::size_t bytes) {
  void* memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw Error("CUDA_OUT_OF_MEMORY", "no page-locked host memory left");
  return memory;
}

void freePinned(void* memory) noexcept { std::free(memory); }

Graph::Graph(std::unique_ptr<State> state) : state_(std::move(state)) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

Stream::Stream() : state_(std::make_unique<State>()) {}
Stream::~Stream() = default;

void Stream::copyToDevice(void* to, const void* fromHost, std::size_t bytes) {
  copyOnDevice(to, fromHost, bytes);
}
void Stream::copyToHost(void* toHost, const void* from, std::size_t bytes) {
  copyOnDevice(toHost, from, bytes);
}
void Stream::copyOnDevice(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) emulator::enqueue(*this, [=] { std::memcpy(to, from, bytes); });
}
void Stream::fillZero(void* memory, std::size_t bytes) {
  if (bytes > 0) emulator::enqueue(*this, [=] { std::memset(memory, 0, bytes); });
}

void Stream::synchronize() {
  require(!state_->recording, "CUDA_FAILED", "a stream cannot be waited for while it records");
  // What fails takes the rest of the stream with it.
  const std::vector<std::function<void()>> work = std::exchange(state_->waiting, {});
  for (const auto& piece : work) {
    countWork();
    piece();
  }
}

void Stream::beginRecording() { state_->recording = true; }

Graph Stream::endRecording() {
  state_->recording = false;
  auto graph = std::make_unique<Graph::State>();
  graph->work = std::exchange(state_->recorded, {});
  return Graph(std::move(graph));
}

void Stream::replay(const Graph& graph) {
  const auto& work = graph.state().work;
  state_->waiting.insert(state_->waiting.end(), work.begin(), work.end());
}

namespace emulator {

void enqueue(Stream& stream, std::function<void()> work) {
  Stream::State& state = stream.state();
  (state.recording ? state.recorded : state.waiting).push_back(std::move(work));
}

}  // namespace emulator

}  // namespace ddsc::cuda
