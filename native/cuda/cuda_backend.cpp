#include "cuda/cuda_backend.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "cuda/context.h"
#include "cuda/cublaslt/choice.h"
#include "cuda/devices.h"
#include "cuda/launch_graphs.h"
#include "cuda/ops/kernels.h"
#include "cuda/transfers.h"

namespace ddsc::cuda {
namespace {

/// Whether DDSC_GEMM asks for the products of four warps. Throws Error GEMM_UNAVAILABLE where there are none.
bool wantsGroupProducts(const Gpu& gpu) {
  if (cublaslt::choiceFromEnvironment() != cublaslt::Choice::hopper) return false;
#if defined(DDSC_HOPPER_CODE)
  if (gpu.major == 9 && gpu.minor == 0) return true;
  const std::string missing = "this GPU (" + gpu.name + ") does not have";
#else
  const std::string missing = "this build for " + gpu.name + " does not contain";
#endif
  throw Error("GEMM_UNAVAILABLE",
              "DDSC_GEMM asks for the instructions of Hopper GPUs, which " + missing + "; unset DDSC_GEMM");
}

class CudaBackend final : public EveryOp<CudaBackend> {
 public:
  CudaBackend(int device, Gpu gpu) : device_(device), gpu_(std::move(gpu)) {
    useDevice(device_);
    parts_ = std::make_unique<Parts>();
    parts_->context.hasGroupProducts = wantsGroupProducts(gpu_);
    parts_->products = cublaslt::chosenProducts(parts_->context);
    parts_->context.products = parts_->products.get();
  }
  ~CudaBackend() override {
    // The destructors below speak to the device that is current.
    try {
      useDevice(device_);
    } catch (...) {
    }
  }

  std::string describe() const override {
    const cublaslt::Products* const products = parts_->products.get();
    return "cuda:" + std::to_string(device_) + " (" + gpu_.name +
           (products == nullptr ? "" : ", plain products by cuBLASLt " + products->version()) +
           (parts_->context.hasGroupProducts ? ", products by wgmma" : "") + ")";
  }
  DeviceKind kind() const override { return DeviceKind::gpu; }
  int threads() const override { return 1; }
  Limits measureLimits() override { return cuda::measureLimits(inOrder().context, gpu_.multiprocessors); }

  void* queueBeside() override {
    Parts& parts = inOrder();
    if (!parts.beside) parts.beside.emplace();
    parts.stream.record(parts.given);
    parts.beside->runAfter(parts.given);
    return parts.beside->handle();
  }
  bool isDoneBeside() override {
    useDevice(device_);
    return !parts_->beside || parts_->beside->isDone();
  }
  void joinBeside() override {
    if (!parts_->beside) return;
    Parts& parts = inOrder();
    parts.beside->record(parts.joined);
    parts.stream.runAfter(parts.joined);
  }
  Mark mark() override { return inOrder().marks.mark(); }
  bool passed(Mark mark) override {
    useDevice(device_);
    return parts_->marks.passed(mark);
  }
  void waitFor(Mark mark) override {
    useDevice(device_);
    parts_->downloads.waitFor(mark);
  }

  void* allocate(std::size_t bytes) override {
    useDevice(device_);
    return parts_->memory.allocate(bytes);
  }
  void release(void* memory) noexcept override { parts_->memory.release(memory); }
  std::size_t scratchBytes() const override { return parts_->scratch.size(); }
  void zero(void* memory, std::size_t bytes) override {
    if (gathering_) {
      gathered_.emplace_back(Zero{memory, bytes});
    } else {
      inOrder().stream.fillZero(memory, bytes);
    }
  }
  void upload(void* to, const void* fromHost, std::size_t bytes) override {
    inOrder().uploads.upload(to, fromHost, bytes);
  }
  void uploadAhead(void* to, const void* fromHost, std::size_t bytes, Mark free) override {
    useDevice(device_);
    parts_->marks.delay(parts_->copies, free);
    parts_->uploadsAhead.upload(to, fromHost, bytes);
    ahead_ = true;
  }
  void download(void* toHost, const void* from, std::size_t bytes) override {
    // In pieces that the landing place takes without growing beyond them.
    constexpr std::size_t kPiece = std::size_t{8} << 20;
    for (std::size_t done = 0; done < bytes; done += kPiece) {
      beginDownload(static_cast<std::byte*>(toHost) + done, static_cast<const std::byte*>(from) + done,
                    std::min(bytes - done, kPiece));
      synchronise();
    }
  }
  void beginDownload(void* toHost, const void* from, std::size_t bytes) override {
    inOrder().downloads.begin(toHost, from, bytes);
  }

  void runAsOne(const std::function<void()>& give) override {
    gathering_ = true;
    gathered_.clear();
    pieces_ = 0;
    try {
      give();
    } catch (...) {
      gathering_ = false;
      throw;
    }
    gathering_ = false;
    launchGathered();
  }
  void endPiece() override {
    if (gathering_) launchGathered();
  }

  template <class Op>
  void handle(const Op& op) {
    if (!gathering_) {
      cuda::run(inOrder().context, op);
      return;
    }
    Op kept = op;
    // Fields that say nothing to a GPU, and would tell equal work apart.
    if constexpr (requires { kept.weightVersion; }) kept.weightVersion = 0;
    if constexpr (requires { kept.pairs; }) kept.pairs = 0;
    gathered_.emplace_back(std::move(kept));
  }

 private:
  /// What lives on the device, in the order in which it comes and goes.
  struct Parts {
    DeviceMemory memory;
    Stream stream, copies;
    Scratch scratch{stream};
    Uploads uploads{stream}, uploadsAhead{copies};
    StreamMarks marks{stream};
    Downloads downloads{stream, marks};
    Context context{stream, scratch};
    std::unique_ptr<cublaslt::Products> products;
    LaunchGraphs launchGraphs{context};
    Event copied;
    std::optional<Stream> beside;
    Event given, joined;
  };

  /// The parts, for work that comes after everything given so far, copies ahead of it included.
  Parts& inOrder() {
    useDevice(device_);
    if (ahead_) {
      parts_->copies.record(parts_->copied);
      parts_->stream.runAfter(parts_->copied);
      ahead_ = false;
    }
    return *parts_;
  }

  void launchGathered() { inOrder().launchGraphs.launch(std::exchange(gathered_, {}), ++pieces_); }

  int device_;
  Gpu gpu_;
  std::unique_ptr<Parts> parts_;
  bool ahead_ = false;  // copies that the stream does not wait for yet
  bool gathering_ = false;
  std::vector<LaunchGraphs::AnyOp> gathered_;
  std::size_t pieces_ = 0;  // of what is given as one, so far
};

}  // namespace

std::unique_ptr<Backend> makeCudaBackend(int device) {
  return std::make_unique<CudaBackend>(device, usableGpu(device));
}

}  // namespace ddsc::cuda
