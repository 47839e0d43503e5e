#include "cuda/cuda_backend.h"

#include <string>
#include <vector>

#include "core/errors.h"
#include "cuda/context.h"
#include "cuda/device_memory.h"
#include "cuda/ops/kernels.h"
#include "ops/every_op.h"

namespace ddsc::cuda {
namespace {

constexpr int kLeastMajor = 8;  // bf16 matrix instructions and asynchronous copies

class CudaBackend final : public EveryOp<CudaBackend> {
 public:
  CudaBackend(int device, DeviceProperties properties) : device_(device), properties_(std::move(properties)) {
    useDevice(device_);
    parts_ = std::make_unique<Parts>();
  }
  ~CudaBackend() override {
    // The destructors below speak to the device that is current.
    try {
      useDevice(device_);
    } catch (...) {
    }
  }

  std::string describe() const override {
    return "cuda:" + std::to_string(device_) + " (" + properties_.name + ")";
  }
  int threads() const override { return 1; }
  Limits measureLimits() override {
    useDevice(device_);
    return cuda::measureLimits(parts_->context, properties_.multiprocessors);
  }
  void synchronise() override {
    useDevice(device_);
    parts_->stream.synchronize();
  }

  void* allocate(std::size_t bytes) override {
    useDevice(device_);
    return parts_->memory.allocate(bytes);
  }
  void release(void* memory) noexcept override { parts_->memory.release(memory); }
  void zero(void* memory, std::size_t bytes) override {
    useDevice(device_);
    parts_->stream.fillZero(memory, bytes);
  }
  void upload(void* to, const void* fromHost, std::size_t bytes) override {
    useDevice(device_);
    parts_->staging.upload(to, fromHost, bytes);
  }
  void download(void* toHost, const void* from, std::size_t bytes) override {
    useDevice(device_);
    parts_->staging.download(toHost, from, bytes);
  }

  template <class Op>
  void handle(const Op& op) {
    useDevice(device_);
    cuda::run(parts_->context, op);
  }

 private:
  /// What lives on the device, in the order in which it comes and goes.
  struct Parts {
    DeviceMemory memory;
    Stream stream;
    Scratch scratch{stream};
    Staging staging{stream};
    Context context{stream, scratch, staging};
  };

  int device_;
  DeviceProperties properties_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace

std::unique_ptr<Backend> makeCudaBackend(int device) {
  std::string reason;
  const std::vector<DeviceProperties> devices = listDevices(reason);
  if (devices.empty()) throw Error("DEVICE_UNAVAILABLE", "cuda: " + reason);
  if (device < 0 || device >= static_cast<int>(devices.size())) {
    throw Error("DEVICE_UNAVAILABLE", "cuda:" + std::to_string(device) + ": this machine has " +
                                          std::to_string(devices.size()) + " GPU(s), numbered from 0");
  }
  const DeviceProperties& properties = devices[static_cast<std::size_t>(device)];
  if (properties.major < kLeastMajor) {
    throw Error("DEVICE_UNAVAILABLE", "cuda:" + std::to_string(device) + ": " + properties.name +
                                          " has compute capability " + std::to_string(properties.major) +
                                          "." + std::to_string(properties.minor) +
                                          ", too old: 8.0 (Ampere) or later is needed");
  }
  return std::make_unique<CudaBackend>(device, properties);
}

}  // namespace ddsc::cuda
