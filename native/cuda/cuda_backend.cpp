#include "cuda/cuda_backend.h"

#include <string>

#include "cuda/context.h"
#include "cuda/device_memory.h"
#include "cuda/ops/kernels.h"
#include "cuda/usable.h"
#include "ops/every_op.h"

namespace ddsc::cuda {
namespace {

class CudaBackend final : public EveryOp<CudaBackend> {
 public:
  CudaBackend(int device, Gpu gpu) : device_(device), gpu_(std::move(gpu)) {
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

  std::string describe() const override { return "cuda:" + std::to_string(device_) + " (" + gpu_.name + ")"; }
  DeviceKind kind() const override { return DeviceKind::gpu; }
  int threads() const override { return 1; }
  Limits measureLimits() override {
    useDevice(device_);
    return cuda::measureLimits(parts_->context, gpu_.multiprocessors);
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
  std::size_t scratchBytes() const override { return parts_->scratch.size(); }
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
  Gpu gpu_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace

std::unique_ptr<Backend> makeCudaBackend(int device) {
  return std::make_unique<CudaBackend>(device, usableGpu(device));
}

}  // namespace ddsc::cuda
