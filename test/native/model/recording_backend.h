/// What a model's calls allocate on the CPU.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "cpu/cpu_backend.h"
#include "model/model.h"

namespace ddsc::test {

/// The CPU backend, with what it was asked for written down.
class RecordingBackend final : public EveryOp<RecordingBackend> {
 public:
  explicit RecordingBackend(int threads, DeviceKind kind)
      : backend_(cpu::makeCpuBackend("", threads)), kind_(kind) {}

  std::size_t peak = 0;
  int allocations = 0;

  std::string describe() const override { return backend_->describe(); }
  DeviceKind kind() const override { return kind_; }
  int threads() const override { return backend_->threads(); }
  Limits measureLimits() override { return {}; }
  void* allocate(std::size_t bytes) override {
    void* memory = backend_->allocate(bytes);
    sizes_[memory] = bytes;
    held_ += bytes;
    peak = std::max(peak, held_);
    ++allocations;
    return memory;
  }
  void release(void* memory) noexcept override {
    held_ -= sizes_[memory];
    backend_->release(memory);
  }
  std::size_t scratchBytes() const override { return backend_->scratchBytes(); }
  void zero(void* memory, std::size_t bytes) override { backend_->zero(memory, bytes); }
  void upload(void* to, const void* from, std::size_t bytes) override { backend_->upload(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override {
    backend_->download(to, from, bytes);
  }
  template <class Op>
  void handle(const Op& op) {
    backend_->run(op);
  }

 private:
  std::unique_ptr<Backend> backend_;
  DeviceKind kind_;
  std::map<void*, std::size_t> sizes_;
  std::size_t held_ = 0;
};

struct Recorded {
  std::shared_ptr<Model> model;
  RecordingBackend* recorder;  // the model's
};

inline Recorded recordedModel(const DenoiserConfig& config, DType type, bool trainable = true,
                              int threads = 1, DeviceKind kind = DeviceKind::cpu) {
  auto backend = std::make_unique<RecordingBackend>(threads, kind);
  RecordingBackend* recorder = backend.get();
  return {std::make_shared<Model>(std::move(backend), config, type, trainable), recorder};
}

}  // namespace ddsc::test
