#include "cpu/cpu_backend.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/errors.h"
#include "cpu/dispatch.h"
#include "cpu/memory.h"
#include "cpu/peak.h"

namespace ddsc::cpu {
namespace {

constexpr int kMostThreads = 4096;

/// `threads`, else DDSC_THREADS, else 0 (all).
int chooseThreads(int threads) {
  const char* fromEnvironment = std::getenv("DDSC_THREADS");
  if (threads == 0 && fromEnvironment != nullptr && *fromEnvironment != '\0') {
    const std::string_view text = fromEnvironment;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
    if (error != std::errc() || rest != text.data() + text.size()) threads = -1;
  }
  if (threads < 0 || threads > kMostThreads) {
    throw Error("DEVICE_THREADS",
                "the number of threads (DDSC_THREADS) must be a whole number from 0 (all) to " +
                    std::to_string(kMostThreads));
  }
  return threads;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const InstructionSet& instructionSet, int threads)
      : instructionSet_(instructionSet), pool_(threads), scratch_(pool_.threads()) {}

  std::string describe() const override {
    const std::string threads =
        std::to_string(pool_.threads()) + (pool_.threads() == 1 ? " thread" : " threads");
    const std::string note = instructionSet_.note.empty() ? "" : "; " + instructionSet_.note;
    return "cpu (" + instructionSet_.name + ", " + threads + note + ")";
  }

  int threads() const override { return pool_.threads(); }

  Limits measureLimits() override {
    return {peakFlops(instructionSet_.name, DType::f32, pool_),
            peakFlops(instructionSet_.name, DType::bf16, pool_), peakBandwidth(pool_)};
  }

  void* allocate(std::size_t bytes) override { return allocateAligned(bytes); }
  std::size_t scratchBytes() const override { return scratch_.bytes() + weights_.bytes(); }
  void release(void* memory) noexcept override {
    weights_.forget(memory, alignedBytes(memory));
    releaseAligned(memory);
  }
  void zero(void* memory, std::size_t bytes) override {
    if (bytes > 0) std::memset(memory, 0, bytes);
  }
  void upload(void* to, const void* fromHost, std::size_t bytes) override { copy(to, fromHost, bytes); }
  void download(void* toHost, const void* from, std::size_t bytes) override { copy(toHost, from, bytes); }

  void run(const Embed& op) override { ops().embed(context_, op); }
  void run(const EmbedGradient& op) override { ops().embedGradient(context_, op); }
  void run(const Linear& op) override { ops().linear(context_, op); }
  void run(const LinearInputGradient& op) override { ops().linearInputGradient(context_, op); }
  void run(const LinearWeightGradient& op) override { ops().linearWeightGradient(context_, op); }
  void run(const NormModulate& op) override { ops().normModulate(context_, op); }
  void run(const NormModulateGradient& op) override { ops().normModulateGradient(context_, op); }
  void run(const Attention& op) override { ops().attention(context_, op); }
  void run(const AttentionGradient& op) override { ops().attentionGradient(context_, op); }
  void run(const GateResidual& op) override { ops().gateResidual(context_, op); }
  void run(const GateResidualGradient& op) override { ops().gateResidualGradient(context_, op); }
  void run(const TimeFeatures& op) override { ops().timeFeatures(context_, op); }
  void run(const GatherRows& op) override { ops().gatherRows(context_, op); }
  void run(const ScatterRows& op) override { ops().scatterRows(context_, op); }
  void run(const DiffusionLoss& op) override { ops().diffusionLoss(context_, op); }
  void run(const TokenStatistics& op) override { ops().tokenStatistics(context_, op); }
  void run(const DrawTokens& op) override { ops().drawTokens(context_, op); }
  void run(const SumOfSquares& op) override { ops().sumOfSquares(context_, op); }
  void run(const AdamW& op) override { ops().adamW(context_, op); }
  void run(const Convert& op) override { ops().convert(context_, op); }

 private:
  const OpTable& ops() const { return instructionSet_.ops; }
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }

  InstructionSet instructionSet_;
  ThreadPool pool_;
  Scratch scratch_;
  PackedWeights weights_;
  Context context_{pool_, scratch_, weights_};
};

}  // namespace

std::unique_ptr<Backend> makeCpuBackend(const std::string& instructionSet, int threads) {
  return std::make_unique<CpuBackend>(chooseInstructionSet(instructionSet), chooseThreads(threads));
}

}  // namespace ddsc::cpu
