#include "ops/profile.h"

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "ops/every_op.h"

namespace ddsc {

namespace {

// Names of the ops in a profile.
std::string_view name(const Embed&) { return "embed"; }
std::string_view name(const EmbedGradient&) { return "embed gradient"; }
std::string_view name(const Linear&) { return "linear"; }
std::string_view name(const LinearInputGradient&) { return "input gradient"; }
std::string_view name(const LinearWeightGradient&) { return "weight gradient"; }
std::string_view name(const NormModulate&) { return "norm"; }
std::string_view name(const NormModulateGradient&) { return "norm gradient"; }
std::string_view name(const Attention&) { return "attention"; }
std::string_view name(const AttentionGradient&) { return "attention gradient"; }
std::string_view name(const GateResidual&) { return "gate"; }
std::string_view name(const GateResidualGradient&) { return "gate gradient"; }
std::string_view name(const TimeFeatures&) { return "time features"; }
std::string_view name(const GatherRows&) { return "gather rows"; }
std::string_view name(const ScatterRows&) { return "scatter rows"; }
std::string_view name(const DiffusionLoss&) { return "loss"; }
std::string_view name(const TokenStatistics&) { return "statistics"; }
std::string_view name(const DrawTokens&) { return "draw"; }
std::string_view name(const SumOfSquares&) { return "gradient norm"; }
std::string_view name(const AdamW&) { return "adamw"; }
std::string_view name(const Convert&) { return "convert"; }

template <class Op>
Cost costOf(Backend&, const Op& op) {
  return cost(op);
}
/// Cells' lengths are asked of the device, before the clock starts.
template <class Op>
Cost costOf(Backend& backend, const Op& op)
  requires requires { cost(op, op.cells.offsets); }
{
  const std::vector<std::int32_t> offsets = download(backend, op.cells.offsets);
  return cost(op, {offsets.data(), op.cells.offsets.size});
}

Cost moving(std::size_t bytes) { return {0, static_cast<double>(bytes)}; }

class Profiler final : public EveryOp<Profiler, ProfilingBackend> {
 public:
  explicit Profiler(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

  std::string describe() const override { return backend_->describe(); }
  DeviceKind kind() const override { return backend_->kind(); }
  int threads() const override { return backend_->threads(); }
  Limits measureLimits() override { return backend_->measureLimits(); }
  void synchronise() override { backend_->synchronise(); }

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
    record(name(op), costOf(*backend_, op), [&] { backend_->run(op); });
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
