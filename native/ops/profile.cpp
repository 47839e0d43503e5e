#include "ops/profile.h"

#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace ddsc {

namespace {

#define DDSC_EACH(Op, name) \
  std::string_view nameOf(const Op&) { return name; }
DDSC_FOR_EACH_OP(DDSC_EACH)
#undef DDSC_EACH

Cost moving(std::size_t bytes) { return {0, static_cast<double>(bytes)}; }

class Profiler final : public EveryOp<Profiler, ProfilingBackend> {
 public:
  explicit Profiler(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

  std::string describe() const override { return backend_->describe(); }
  DeviceKind kind() const override { return backend_->kind(); }
  int threads() const override { return backend_->threads(); }
  Limits measureLimits() override { return backend_->measureLimits(); }
  void* queueBeside() override { return backend_->queueBeside(); }
  bool isDoneBeside() override { return backend_->isDoneBeside(); }
  void joinBeside() override { backend_->joinBeside(); }
  Mark mark() override { return backend_->mark(); }
  bool passed(Mark mark) override { return backend_->passed(mark); }
  void waitFor(Mark mark) override { backend_->waitFor(mark); }

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    record("allocate", {}, [&] { memory = backend_->allocate(bytes); });
    return memory;
  }
  void release(void* memory) noexcept override { backend_->release(memory); }
  std::size_t scratchBytes() const override { return backend_->scratchBytes(); }
  void zero(void* memory, std::size_t bytes) override {
    record("zero", moving(bytes), [&] { backend_->zero(memory, bytes); });
  }
  void upload(void* to, const void* fromHost, std::size_t bytes) override {
    record("upload", moving(2 * bytes), [&] { backend_->upload(to, fromHost, bytes); });
  }
  void download(void* toHost, const void* from, std::size_t bytes) override {
    record("download", moving(2 * bytes), [&] { backend_->download(toHost, from, bytes); });
  }

  template <class Op>
  void handle(const Op& op) {
    record(nameOf(op), cost(op), [&] { backend_->run(op); });
  }

  std::vector<OpProfile> take() override {
    places_.clear();
    return std::exchange(rows_, {});
  }

 private:
  template <class Work>
  void record(std::string_view op, const Cost& cost, const Work& work) {
    const std::string_view place = takePlace();
    backend_->synchronise();
    const auto start = std::chrono::steady_clock::now();
    work();
    backend_->synchronise();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const auto [found, isNew] = places_.try_emplace({op, place}, rows_.size());
    if (isNew) rows_.push_back({op, place, 0, 0, {0, 0, cost.operands}});
    OpProfile& row = rows_[found->second];
    ++row.calls;
    row.seconds += elapsed.count();
    row.cost.flops += cost.flops;
    row.cost.bytes += cost.bytes;
  }

  std::unique_ptr<Backend> backend_;
  std::vector<OpProfile> rows_;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> places_;  // the row of each
};

}  // namespace

std::unique_ptr<ProfilingBackend> makeProfilingBackend(std::unique_ptr<Backend> backend) {
  return std::make_unique<Profiler>(std::move(backend));
}

}  // namespace ddsc
