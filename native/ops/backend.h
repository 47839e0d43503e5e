#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/op_list.h"

namespace ddsc {

/// What a device can do at most, as measured on the device itself.
struct Limits {
  double floatFlops = 0, bf16Flops = 0;  // floating-point operations a second, by the operands' type
  double bytes = 0;                      // bytes a second between its memory and its units
};

enum class DeviceKind : std::uint8_t { cpu, gpu };

/// A moment in the order in which ops and copies are given to a backend.
using Mark = std::uint64_t;

/// Runs ops on one device, in the order given. Views in ops point to this backend's memory. Results depend on
/// the inputs alone: not on threads, not on what ran before. A device may run behind the host: only what says
/// so waits for it.
class Backend {
 public:
  virtual ~Backend() = default;

  /// For people: "cpu (avx512, 2 threads)".
  virtual std::string describe() const = 0;
  virtual DeviceKind kind() const { return DeviceKind::cpu; }
  /// Host threads that compute.
  virtual int threads() const = 0;

  /// Measures what ops could do at most; takes some tenths of a second.
  virtual Limits measureLimits() = 0;
  /// Marks the end of all that was given so far. A device that runs ops at once has one mark, always passed.
  virtual Mark mark() { return 0; }
  /// Whether all before the mark is done.
  virtual bool passed(Mark) { return true; }
  /// Returns when all before the mark is done, and has arrived where it was to be downloaded.
  virtual void waitFor(Mark) {}
  /// Returns when all ops given so far are done.
  void synchronise() { waitFor(mark()); }

  /// Uninitialised memory, 64-byte aligned; throws Error OUT_OF_MEMORY with the size.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Bytes that ops hold for themselves from call to call: packed operands, sums by thread.
  virtual std::size_t scratchBytes() const { return 0; }
  virtual void zero(void* memory, std::size_t bytes) = 0;
  /// The host memory is free again when this returns.
  virtual void upload(void* to, const void* fromHost, std::size_t bytes) = 0;
  /// The same to memory that no op given after `free` uses so far: the copy need not wait for those.
  virtual void uploadAhead(void* to, const void* fromHost, std::size_t bytes, Mark free) {
    static_cast<void>(free);
    upload(to, fromHost, bytes);
  }
  /// Waits for all ops given so far.
  virtual void download(void* toHost, const void* from, std::size_t bytes) = 0;
  /// Begins a download. The host memory must stay, and holds the bytes when a mark made later was waited for.
  virtual void beginDownload(void* toHost, const void* from, std::size_t bytes) {
    download(toHost, from, bytes);
  }

  /// A second order of work of a device, for libraries that put work of their own there: it runs after all
  /// that was given so far, and beside what is given later. On a GPU a cudaStream_t, of the device that is
  /// then current for this thread. Null where there is none.
  virtual void* queueBeside() { return nullptr; }
  /// Whether all that was put there is done.
  virtual bool isDoneBeside() { return true; }
  /// What is given from now on runs after all that was put there.
  virtual void joinBeside() {}

  /// Runs what `give` gives: ops, zeros, and uploads to memory that no earlier op of these uses. A device may
  /// keep them as one piece of work, to be run at once when the same are given again.
  virtual void runAsOne(const std::function<void()>& give) { give(); }
  /// In `give`: what it gave so far is a piece by itself, and begins.
  virtual void endPiece() {}

  /// Names what the next op is for, to a profile: run.at("qkv").run(op). A literal; costs a store.
  Backend& at(const char* place) {
    place_ = place;
    return *this;
  }

#define DDSC_EACH(Op, name) virtual void run(const Op&) = 0;
  DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH

 protected:
  /// The name given to this op; empty where there is none.
  const char* takePlace() { return std::exchange(place_, ""); }

 private:
  const char* place_ = "";
};

/// A backend that does the same to every op: Handler derives from EveryOp<Handler> and has a template
/// `handle(op)`. Base is Backend or an interface on top of it.
template <class Handler, class Base = Backend>
class EveryOp : public Base {
 public:
#define DDSC_EACH(Op, name) \
  void run(const Op& op) override { static_cast<Handler*>(this)->handle(op); }
  DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH
};

/// Memory of a backend, released with the owner.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Backend& backend, std::size_t bytes)
      : backend_(&backend), data_(backend.allocate(bytes)), bytes_(bytes) {}
  ~Buffer() { reset(); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  std::size_t bytes() const { return bytes_; }
  void reset() noexcept {
    if (data_ != nullptr) backend_->release(data_);
    data_ = nullptr;
    bytes_ = 0;
  }
  void swap(Buffer& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

 private:
  Backend* backend_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Downloads that are waited for together. The vectors must outlive this, which waits for them at its end.
class PendingDownloads {
 public:
  explicit PendingDownloads(Backend& backend) : backend_(&backend) {}
  ~PendingDownloads() {
    // Nothing may arrive in memory that is gone; a device that failed sends nothing.
    try {
      wait();
    } catch (...) {
    }
  }
  PendingDownloads(PendingDownloads&& other) noexcept
      : backend_(std::exchange(other.backend_, nullptr)), mark_(std::exchange(other.mark_, {})) {}
  PendingDownloads& operator=(PendingDownloads&&) = delete;

  /// Begins to download the view's elements.
  template <class T>
  void into(std::vector<std::remove_const_t<T>>& values, const Span<T>& from) {
    values.resize(static_cast<std::size_t>(from.size));
    if (!values.empty()) backend_->beginDownload(values.data(), from.data, values.size() * sizeof(T));
  }
  /// No more is to be downloaded: ops given from now on are not waited for.
  Mark close() {
    mark_ = backend_->mark();
    return *mark_;
  }
  /// Returns when all is there.
  void wait() {
    Backend* const backend = std::exchange(backend_, nullptr);
    if (backend != nullptr) backend->waitFor(mark_ ? *mark_ : backend->mark());
  }

 private:
  Backend* backend_;
  std::optional<Mark> mark_;
};

/// A host copy of a view's elements.
template <class T>
std::vector<std::remove_const_t<T>> download(Backend& backend, const Span<T>& from) {
  std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(from.size));
  if (!values.empty()) backend.download(values.data(), from.data, values.size() * sizeof(T));
  return values;
}

}  // namespace ddsc
