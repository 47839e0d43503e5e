#include "cuda/cublaslt/choice.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/bf16.h"
#include "core/errors.h"
#include "cuda/devices.h"
#include "cuda/ops/kernels.h"

namespace ddsc::cuda::cublaslt {
namespace {

constexpr double kClearly = 0.9;

/// `kMostScale` times this is the layer for q, k and v of a model 1,024 wide, on 8,192 tokens.
constexpr std::int64_t kTokens = 64, kInputs = 8, kOutputs = 24, kMostScale = 128;

/// The median of some rounds after one to warm up, in seconds a call.
template <class Work>
double secondsOf(Stream& stream, const Work& work) {
  constexpr int kCalls = 4;
  std::array<double, 5> rounds{};
  const auto round = [&] {
    stream.synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int call = 0; call < kCalls; ++call) work();
    stream.synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / kCalls;
  };
  round();
  for (double& seconds : rounds) seconds = round();
  std::nth_element(rounds.begin(), rounds.begin() + rounds.size() / 2, rounds.end());
  return rounds[rounds.size() / 2];
}

/// Device memory of a matrix.
class DeviceMatrix {
 public:
  DeviceMatrix(std::int64_t rows, std::int64_t cols, DType type)
      : view_{allocateDevice(bytesOf(rows, cols, type)), rows, cols, cols, type} {}
  ~DeviceMatrix() { freeDevice(view_.data); }
  DeviceMatrix(const DeviceMatrix&) = delete;
  DeviceMatrix& operator=(const DeviceMatrix&) = delete;

  const Matrix& view() const { return view_; }
  std::size_t bytes() const { return bytesOf(view_.rows, view_.cols, view_.type); }

  /// Values between -1 and 1, as a network's are: on zeros a GPU draws less power and runs faster than it
  /// will.
  void fill(Stream& stream) const {
    std::vector<bf16> values(std::min(bytes() / sizeof(bf16), std::size_t{1} << 16));
    std::uint32_t state = 1;
    for (bf16& value : values) {
      state = state * 1664525u + 1013904223u;
      value = toBf16(static_cast<float>(state >> 8) * 0x1p-23f - 1.0f);
    }
    auto* const to = static_cast<std::byte*>(view_.data);
    std::size_t filled = values.size() * sizeof(bf16);
    stream.copyToDevice(to, values.data(), filled);
    for (std::size_t more = 0; filled < bytes(); filled += more) {
      more = std::min(filled, bytes() - filled);
      stream.copyOnDevice(to + filled, to, more);
    }
    stream.synchronize();
  }

 private:
  static std::size_t bytesOf(std::int64_t rows, std::int64_t cols, DType type) {
    return static_cast<std::size_t>(rows * cols * sizeOf(type));
  }
  Matrix view_;
};

/// A layer's memory and its three products.
class Layer {
 public:
  Layer(Stream& stream, std::int64_t scale)
      : x_(kTokens * scale, kInputs * scale, DType::bf16),
        weight_(kOutputs * scale, kInputs * scale, DType::bf16),
        y_(kTokens * scale, kOutputs * scale, DType::bf16),
        dx_(kTokens * scale, kInputs * scale, DType::bf16),
        dweight_(kOutputs * scale, kInputs * scale, DType::f32) {
    for (const DeviceMatrix* matrix : {&x_, &weight_, &y_}) matrix->fill(stream);
    stream.fillZero(dweight_.view().data, dweight_.bytes());
  }

  double secondsForward(Context& context) const {
    return secondsOf(context.stream, [&] {
      run(context, Linear{.x = x_.view(),
                          .weight = weight_.view(),
                          .bias = {},
                          .preactivation = {},
                          .residual = {},
                          .y = y_.view()});
    });
  }
  double secondsBackward(Context& context) const {
    return secondsOf(context.stream, [&] {
      run(context, LinearInputGradient{
                       .dy = y_.view(), .weight = weight_.view(), .preactivation = {}, .dx = dx_.view()});
      run(context,
          LinearWeightGradient{.dy = y_.view(), .x = x_.view(), .dweight = dweight_.view(), .dbias = {}});
    });
  }

 private:
  DeviceMatrix x_, weight_, y_, dx_, dweight_;
};

/// Whether the library takes at least a tenth less time than our kernels for the products of a training step
/// that it would serve. Measures both now, in some hundredths of a second.
/// Forward product, input gradient and weight gradient of one layer, by both, on the host's clock around
/// several calls in a row.
bool isClearlyFaster(Context& context, Products& products) {
  constexpr double kLongEnough = 1e-3;
  Context own{context.stream, context.scratch}, other{context.stream, context.scratch, &products};
  for (std::int64_t scale = 1;; scale *= 2) {
    const Layer layer(context.stream, scale);
    const double forward = layer.secondsForward(own);
    // A GPU gets to the whole of it; what is slower needs no more to tell.
    if (forward < kLongEnough && scale < kMostScale) continue;
    const double ours = forward + layer.secondsBackward(own);
    const double theirs = layer.secondsForward(other) + layer.secondsBackward(other);
    return theirs < kClearly * ours;
  }
}

bool mayUseLibrary(Choice choice) { return choice == Choice::library || choice == Choice::measured; }

}  // namespace

Choice choiceFromEnvironment() {
  const char* const given = std::getenv("DDSC_GEMM");
  const std::string_view word = given == nullptr ? "" : given;
  if (word.empty() || word == "own") return Choice::own;
  if (word == "hopper") return Choice::hopper;
  if (word == "cublaslt") return Choice::library;
  if (word == "auto") return Choice::measured;
  throw Error("GEMM_UNKNOWN", "expected own, hopper, cublaslt or auto for DDSC_GEMM but received \"" +
                                  std::string(word) + "\"");
}

std::unique_ptr<Products> chosenProducts(Context& context) {
  const Choice choice = choiceFromEnvironment();
  if (!mayUseLibrary(choice)) return nullptr;
  std::unique_ptr<Products> products;
  try {
    products = std::make_unique<Products>(cublasLtNames());
  } catch (const Error& error) {
    if (choice == Choice::measured && error.code() == "GEMM_UNAVAILABLE") return nullptr;
    throw;
  }
  if (choice == Choice::measured && !isClearlyFaster(context, *products)) return nullptr;
  return products;
}

}  // namespace ddsc::cuda::cublaslt

namespace ddsc::cuda {

std::size_t libraryScratchBytes() {
  return cublaslt::mayUseLibrary(cublaslt::choiceFromEnvironment())
             ? Scratch::grownSize(cublaslt::kMostWorkspaceBytes)
             : 0;
}

}  // namespace ddsc::cuda
