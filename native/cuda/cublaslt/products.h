#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/views.h"
#include "cuda/context.h"
#include "cuda/cublaslt/library.h"

namespace ddsc::cuda::cublaslt {

/// Device memory that the library may take for a product, from the scratch memory; as NVIDIA recommends for
/// the newest GPUs.
inline constexpr std::size_t kMostWorkspaceBytes = std::size_t{32} << 20;

/// One side of a product in bf16: element (i, step) stands in row i and column step (`alongRows`), or the
/// reverse.
struct Side {
  ConstMatrix matrix;
  bool alongRows;
};

/// c[i, j] = sum over the steps of a(i, step) b(j, step), in float32, rounded once; plus what c held where it
/// is `added`.
struct PlainProduct {
  Side a, b;
  Matrix c;  // float or bf16
  bool added = false;
};

/// Products by cuBLASLt. What it needs to know of a shape is worked out once and kept.
class Products {
 public:
  /// Throws Error GEMM_UNAVAILABLE.
  explicit Products(const std::vector<std::string>& names) : library_(names) {}

  /// Puts the product on the stream; false, with nothing done, where it is empty or the library has no way to
  /// do it. Throws Error CUDA_FAILED naming the call, and `op` for what it was.
  bool multiply(Context& context, const char* op, const PlainProduct& product);

  std::string version() const { return library_.version(); }

 private:
  /// All that the choice of an algorithm depends on: never where memory happens to lie, beyond whether 16
  /// bytes may be read at once.
  struct Shape {
    std::int64_t rows, cols, steps, strideA, strideB, strideC;
    bool aAlongRows, bAlongRows, added, aligned;
    DType type;  // of c
    bool operator==(const Shape&) const = default;
  };
  template <class State>
  using Owned = std::unique_ptr<State, Status (*)(State*)>;
  struct Plan {
    Shape shape;
    Owned<OperationState> operation;
    Owned<LayoutState> a, b, c;
    std::optional<Algorithm> algorithm;  // none: the library has no way
    std::size_t workspaceBytes = 0;
    std::uint64_t lastUsed = 0;
  };

  static Shape shapeOf(const PlainProduct& product);
  Plan& planOf(const char* op, const Shape& shape);
  Plan makePlan(const char* op, const Shape& shape) const;
  void choose(const char* op, Plan& plan) const;
  Owned<LayoutState> layout(const char* op, const Shape& shape, DType type, std::int64_t rows,
                            std::int64_t cols, std::int64_t stride) const;
  void check(Status status, const char* call, const char* op, const Shape& shape) const;

  Library library_;
  std::vector<Plan> plans_;
  std::uint64_t uses_ = 0;
};

// Whether cuBLASLt does the op, which is then on the stream: a plain product of bf16, where the context has
// the library. What has a bias, an activation, a residual or a bias' gradient stays with our kernels, which
// need no second pass for it, and so does float32.

bool multiplies(Context& context, const Linear& op);
bool multiplies(Context& context, const LinearInputGradient& op);
bool multiplies(Context& context, const LinearWeightGradient& op);

}  // namespace ddsc::cuda::cublaslt
