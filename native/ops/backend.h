#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/ops.h"

namespace ddsc {

/// What a device can do at most, as measured on the device itself.
struct Limits {
  double floatFlops = 0, bf16Flops = 0;  // floating-point operations a second, by the operands' type
  double bytes = 0;                      // bytes a second between its memory and its units
};

enum class DeviceKind : std::uint8_t { cpu, gpu };

/// Runs ops on one device, in the order given. Views in ops point to this backend's memory unless an op says
/// "host". Results depend on the inputs alone: not on threads, not on what ran before.
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
  /// Returns when all ops given so far are done; does nothing on a device that runs them at once.
  virtual void synchronise() {}

  /// Uninitialised memory, 64-byte aligned; throws Error OUT_OF_MEMORY with the size.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Bytes that ops hold for themselves from call to call: packed operands, sums by thread.
  virtual std::size_t scratchBytes() const { return 0; }
  virtual void zero(void* memory, std::size_t bytes) = 0;
  virtual void upload(void* to, const void* fromHost, std::size_t bytes) = 0;
  virtual void download(void* toHost, const void* from, std::size_t bytes) = 0;

  /// Names what the next op is for, to a profile: run.at("qkv").run(op). A literal; costs a store.
  Backend& at(const char* place) {
    place_ = place;
    return *this;
  }

  virtual void run(const Embed&) = 0;
  virtual void run(const EmbedGradient&) = 0;
  virtual void run(const Linear&) = 0;
  virtual void run(const LinearInputGradient&) = 0;
  virtual void run(const LinearWeightGradient&) = 0;
  virtual void run(const NormModulate&) = 0;
  virtual void run(const NormModulateGradient&) = 0;
  virtual void run(const Attention&) = 0;
  virtual void run(const AttentionGradient&) = 0;
  virtual void run(const GateResidual&) = 0;
  virtual void run(const GateResidualGradient&) = 0;
  virtual void run(const TimeFeatures&) = 0;
  virtual void run(const GatherRows&) = 0;
  virtual void run(const ScatterRows&) = 0;
  virtual void run(const DiffusionLoss&) = 0;
  virtual void run(const TokenStatistics&) = 0;
  virtual void run(const DrawTokens&) = 0;
  virtual void run(const SumOfSquares&) = 0;
  virtual void run(const AdamW&) = 0;
  virtual void run(const Convert&) = 0;

 protected:
  /// The name given to this op; empty where there is none.
  const char* takePlace() { return std::exchange(place_, ""); }

 private:
  const char* place_ = "";
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

/// A host copy of a view's elements.
template <class T>
std::vector<std::remove_const_t<T>> download(Backend& backend, const Span<T>& from) {
  std::vector<std::remove_const_t<T>> values(static_cast<std::size_t>(from.size));
  if (!values.empty()) backend.download(values.data(), from.data, values.size() * sizeof(T));
  return values;
}

}  // namespace ddsc
