#pragma once
// The little of the CUDA runtime that the backend needs, behind names of its own: devices, memory, streams,
// events, graphs. Implemented by runtime.cu on NVIDIA's runtime and by emulator/runtime.cpp; a program links
// one of them. Everything that can fail throws Error: CUDA_OUT_OF_MEMORY, or CUDA_FAILED naming the call, the
// file and line of ours that made it, and the driver's words.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ddsc::cuda {

struct DeviceProperties {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  std::size_t memoryBytes = 0;
  int multiprocessors = 0;
  std::size_t sharedBytesPerBlock = 0;  // dynamic, the most a kernel may ask for
};

/// What the driver says of itself and of its devices. Versions of CUDA are 1000 major + 10 minor.
struct DriverState {
  int driver = 0;         // that the driver serves; 0: there is no driver
  int runtime = 0;        // that this program was built with
  bool isTooOld = false;  // the driver, for this runtime
  std::string failure;    // what it answers where it cannot list its devices
  std::vector<DeviceProperties> devices;
};
DriverState driverState();

/// Makes the device current for the calling thread; every call of a backend starts with it.
void useDevice(int device);

/// Free and total memory of the current device.
struct MemoryState {
  std::size_t freeBytes = 0, totalBytes = 0;
};
MemoryState deviceMemory();

/// File names of NVIDIA's cuBLASLt, to be tried in this order.
std::vector<std::string> cublasLtNames();

/// 256-byte aligned device memory.
void* allocateDevice(std::size_t bytes);
void freeDevice(void* memory) noexcept;
/// Page-locked host memory, which copies to and from the device without a stop-over.
void* allocatePinned(std::size_t bytes);
void freePinned(void* memory) noexcept;

/// Work recorded once and replayed as one launch.
class Graph {
 public:
  struct State;
  explicit Graph(std::unique_ptr<State> state);
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// A moment in a stream's work; reached as long as no stream recorded it.
class Event {
 public:
  Event();
  ~Event();
  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;

  /// Whether all work before it is done.
  bool reached() const;
  /// The host waits; errors of kernels before it surface here at the latest.
  void wait() const;

  struct State;
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// Work in order on the device that was current when the stream was made. Nothing here waits but
/// `synchronize`; host memory named in a copy must stay as it is until the copy is done.
class Stream {
 public:
  Stream();
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void copyToDevice(void* to, const void* fromHost, std::size_t bytes);
  void copyToHost(void* toHost, const void* from, std::size_t bytes);
  void copyOnDevice(void* to, const void* from, std::size_t bytes);
  void fillZero(void* memory, std::size_t bytes);
  /// Waits for everything; errors of earlier kernels surface here at the latest.
  void synchronize();

  /// Whether everything given so far is done.
  bool isDone() const;

  /// The event now stands behind all work given so far.
  void record(Event& event);
  /// Work given from now on runs after the event's, as it stands now.
  void runAfter(const Event& event);

  /// Between these two, work is recorded instead of run.
  void beginRecording();
  Graph endRecording();
  void replay(const Graph& graph);

  /// What NVIDIA's libraries know it by (cudaStream_t).
  void* handle();

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace ddsc::cuda
