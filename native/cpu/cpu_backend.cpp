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

class CpuBackend final : public EveryOp<CpuBackend> {
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

  template <class Op>
  void handle(const Op& op) {
    instructionSet_.ops.run(context_, op);
  }

 private:
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
