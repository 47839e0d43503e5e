#include "cuda/runtime.h"

#include <cstring>
#include <utility>

#include "cuda/errors.h"
#include "cuda/runtime_calls.cuh"

namespace ddsc::cuda {
namespace {

/// Errors after which the process's context gives wrong numbers or none.
bool isFatal(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorMisalignedAddress:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorUnknown: return true;
    default: return false;
  }
}

/// What a query says.
bool isReady(cudaError_t result, const char* call) {
  if (result == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  checkCall(result, call);
  return true;
}

std::string fileName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace

void checkCall(cudaError_t result, const char* call, std::source_location where) {
  throwIfDeviceLost();
  if (result == cudaSuccess) return;
  cudaGetLastError();  // not to be reported again by the next call
  const std::string text = std::string(call) + " at " + fileName(where.file_name()) + ":" +
                           std::to_string(where.line()) + ": " + cudaGetErrorString(result) + " (" +
                           cudaGetErrorName(result) + ")";
  if (isFatal(result)) markDeviceLost(text);
  throw Error(result == cudaErrorMemoryAllocation ? "CUDA_OUT_OF_MEMORY" : "CUDA_FAILED", text);
}

void checkLaunch(const char* kernel, std::source_location where) {
  checkCall(cudaPeekAtLastError(), kernel, where);
}

void allowSharedMemory(const void* kernel, std::size_t bytes) {
  constexpr std::size_t kAlwaysAllowed = std::size_t{48} << 10;
  if (bytes <= kAlwaysAllowed) return;
  checkCall(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      "cudaFuncSetAttribute");
}

DriverState driverState() {
  DriverState state;
  int count = 0;
  cudaDriverGetVersion(&state.driver);
  cudaRuntimeGetVersion(&state.runtime);
  const cudaError_t result = cudaGetDeviceCount(&count);
  cudaGetLastError();
  state.isTooOld = result == cudaErrorInsufficientDriver;
  if (result == cudaErrorNoDevice) return state;
  if (result != cudaSuccess) {
    state.failure = cudaGetErrorString(result);
    return state;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    checkCall(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    state.devices.push_back({properties.name, properties.major, properties.minor, properties.totalGlobalMem,
                             properties.multiProcessorCount, properties.sharedMemPerBlockOptin});
  }
  return state;
}

void useDevice(int device) { checkCall(cudaSetDevice(device), "cudaSetDevice"); }

// The newest first; the last is what a distribution's link for developers is called.
std::vector<std::string> cublasLtNames() {
  return {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
}

MemoryState deviceMemory() {
  MemoryState state;
  checkCall(cudaMemGetInfo(&state.freeBytes, &state.totalBytes), "cudaMemGetInfo");
  return state;
}

void* allocateDevice(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, bytes > 0 ? bytes : 1);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not to be reported again by the next call
    throw outOfMemory(bytes);
  }
  checkCall(result, "cudaMalloc");
  return memory;
}

// Freeing can only fail when the device is lost or the process ends: nothing is left to do then.
void freeDevice(void* memory) noexcept { static_cast<void>(cudaFree(memory)); }

void* allocatePinned(std::size_t bytes) {
  void* memory = nullptr;
  checkCall(cudaMallocHost(&memory, bytes > 0 ? bytes : 1), "cudaMallocHost");
  return memory;
}

void freePinned(void* memory) noexcept { static_cast<void>(cudaFreeHost(memory)); }

struct Graph::State {
  cudaGraphExec_t executable = nullptr;
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (executable != nullptr) static_cast<void>(cudaGraphExecDestroy(executable));
  }
};

Graph::Graph(std::unique_ptr<State> state) : state_(std::move(state)) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

struct Stream::State {
  cudaStream_t stream = nullptr;
  State() {
    checkCall(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { static_cast<void>(cudaStreamDestroy(stream)); }
};

struct Event::State {
  cudaEvent_t event = nullptr;
  State() { checkCall(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags"); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { static_cast<void>(cudaEventDestroy(event)); }
};

Event::Event() : state_(std::make_unique<State>()) {}
Event::~Event() = default;
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;

bool Event::reached() const { return isReady(cudaEventQuery(state_->event), "cudaEventQuery"); }

void Event::wait() const { checkCall(cudaEventSynchronize(state_->event), "cudaEventSynchronize"); }

cudaStream_t handleOf(Stream& stream) { return stream.state().stream; }
void* Stream::handle() { return state_->stream; }

Stream::Stream() : state_(std::make_unique<State>()) {}
Stream::~Stream() = default;

void Stream::copyToDevice(void* to, const void* fromHost, std::size_t bytes) {
  if (bytes > 0)
    checkCall(cudaMemcpyAsync(to, fromHost, bytes, cudaMemcpyHostToDevice, state_->stream),
              "cudaMemcpyAsync");
}

void Stream::copyToHost(void* toHost, const void* from, std::size_t bytes) {
  if (bytes > 0)
    checkCall(cudaMemcpyAsync(toHost, from, bytes, cudaMemcpyDeviceToHost, state_->stream),
              "cudaMemcpyAsync");
}

void Stream::copyOnDevice(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0)
    checkCall(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, state_->stream), "cudaMemcpyAsync");
}

void Stream::fillZero(void* memory, std::size_t bytes) {
  if (bytes > 0) checkCall(cudaMemsetAsync(memory, 0, bytes, state_->stream), "cudaMemsetAsync");
}

void Stream::synchronize() { checkCall(cudaStreamSynchronize(state_->stream), "cudaStreamSynchronize"); }

bool Stream::isDone() const { return isReady(cudaStreamQuery(state_->stream), "cudaStreamQuery"); }

void Stream::record(Event& event) {
  checkCall(cudaEventRecord(event.state().event, state_->stream), "cudaEventRecord");
}

void Stream::runAfter(const Event& event) {
  checkCall(cudaStreamWaitEvent(state_->stream, event.state().event, 0), "cudaStreamWaitEvent");
}

void Stream::beginRecording() {
  checkCall(cudaStreamBeginCapture(state_->stream, cudaStreamCaptureModeThreadLocal),
            "cudaStreamBeginCapture");
}

Graph Stream::endRecording() {
  cudaGraph_t graph = nullptr;
  checkCall(cudaStreamEndCapture(state_->stream, &graph), "cudaStreamEndCapture");
  auto state = std::make_unique<Graph::State>();
  const cudaError_t result = cudaGraphInstantiate(&state->executable, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  checkCall(result, "cudaGraphInstantiate");
  return Graph(std::move(state));
}

void Stream::replay(const Graph& graph) {
  checkCall(cudaGraphLaunch(graph.state().executable, state_->stream), "cudaGraphLaunch");
}

}  // namespace ddsc::cuda
