// A row-major matrix is a column-major one with rows and columns swapped, so the library is asked for the
// transpose of the product, cᵀ = b aᵀ: its first operand is b, its second a.
#include "cuda/cublaslt/products.h"

#include <algorithm>
#include <utility>

#include "core/errors.h"
#include "cuda/alignment.h"

namespace ddsc::cuda::cublaslt {
namespace {

/// Batches differ in length, so that shapes come and go.
constexpr std::size_t kMostPlans = 128;

DataType dataTypeOf(DType type) { return type == DType::f32 ? DataType::float32 : DataType::bf16; }

bool isAligned(const ConstMatrix& matrix) { return cuda::isAligned(matrix.data, matrix.stride, matrix.type); }

bool multiplies(Context& context, const char* op, const PlainProduct& product) {
  return context.products != nullptr && product.a.matrix.type == DType::bf16 &&
         context.products->multiply(context, op, product);
}

}  // namespace

Products::Shape Products::shapeOf(const PlainProduct& product) {
  const auto [a, b, c, added] = product;
  return {.rows = c.rows,
          .cols = c.cols,
          .steps = a.alongRows ? a.matrix.cols : a.matrix.rows,
          .strideA = a.matrix.stride,
          .strideB = b.matrix.stride,
          .strideC = c.stride,
          .aAlongRows = a.alongRows,
          .bAlongRows = b.alongRows,
          .added = added,
          .aligned = isAligned(a.matrix) && isAligned(b.matrix) && isAligned(c),
          .type = c.type};
}

void Products::check(Status status, const char* call, const char* op, const Shape& shape) const {
  if (status == Status::success) return;
  throw Error("CUDA_FAILED", std::string(call) + " for " + op + " of " + std::to_string(shape.rows) + " x " +
                                 std::to_string(shape.cols) + ", " + std::to_string(shape.steps) +
                                 " steps: " + library_.functions().getStatusName(status) +
                                 "; DDSC_GEMM=own does without cuBLASLt");
}

Products::Owned<LayoutState> Products::layout(const char* op, const Shape& shape, DType type,
                                              std::int64_t rows, std::int64_t cols,
                                              std::int64_t stride) const {
  LayoutState* made = nullptr;
  check(library_.functions().matrixLayoutCreate(&made, dataTypeOf(type), static_cast<std::uint64_t>(cols),
                                                static_cast<std::uint64_t>(rows), stride),
        "cublasLtMatrixLayoutCreate", op, shape);
  return {made, library_.functions().matrixLayoutDestroy};
}

Products::Plan Products::makePlan(const char* op, const Shape& shape) const {
  const Functions& f = library_.functions();
  OperationState* made = nullptr;
  check(f.matmulDescCreate(&made, ComputeType::float32, DataType::float32), "cublasLtMatmulDescCreate", op,
        shape);
  Owned<OperationState> operation(made, f.matmulDescDestroy);
  const auto set = [&](OperationAttribute attribute, OperandForm form) {
    check(f.matmulDescSetAttribute(operation.get(), attribute, &form, sizeof form),
          "cublasLtMatmulDescSetAttribute", op, shape);
  };
  // b as [cols, steps] and a as [steps, rows], out of column-major memory.
  set(OperationAttribute::firstForm, shape.bAlongRows ? OperandForm::transposed : OperandForm::asItIs);
  set(OperationAttribute::secondForm, shape.aAlongRows ? OperandForm::asItIs : OperandForm::transposed);
  const auto side = [&](std::int64_t count, bool alongRows, std::int64_t stride) {
    return layout(op, shape, DType::bf16, alongRows ? count : shape.steps, alongRows ? shape.steps : count,
                  stride);
  };
  Plan plan{.shape = shape,
            .operation = std::move(operation),
            .a = side(shape.rows, shape.aAlongRows, shape.strideA),
            .b = side(shape.cols, shape.bAlongRows, shape.strideB),
            .c = layout(op, shape, shape.type, shape.rows, shape.cols, shape.strideC),
            .algorithm = {}};
  choose(op, plan);
  return plan;
}

void Products::choose(const char* op, Plan& plan) const {
  const Functions& f = library_.functions();
  PreferenceState* made = nullptr;
  check(f.matmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate", op, plan.shape);
  const Owned<PreferenceState> preference(made, f.matmulPreferenceDestroy);
  const auto set = [&](PreferenceAttribute attribute, auto value) {
    check(f.matmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute", op, plan.shape);
  };
  set(PreferenceAttribute::mostWorkspaceBytes, std::uint64_t{kMostWorkspaceBytes});
  // Sums in parts meet in float32: other schemes round each part to c's type.
  set(PreferenceAttribute::reductionSchemes, ReductionSchemes::inFloat32);
  const auto alignment = [&](DType type) {
    return plan.shape.aligned ? kWideBytes : static_cast<std::uint32_t>(sizeOf(type));
  };
  set(PreferenceAttribute::alignmentOfA, alignment(DType::bf16));
  set(PreferenceAttribute::alignmentOfB, alignment(DType::bf16));
  set(PreferenceAttribute::alignmentOfC, alignment(plan.shape.type));
  set(PreferenceAttribute::alignmentOfD, alignment(plan.shape.type));

  Suggestion found{};
  int count = 0;
  const Status status =
      f.matmulAlgoGetHeuristic(library_.handle(), plan.operation.get(), plan.b.get(), plan.a.get(),
                               plan.c.get(), plan.c.get(), preference.get(), 1, &found, &count);
  if (status == Status::notSupported) return;
  check(status, "cublasLtMatmulAlgoGetHeuristic", op, plan.shape);
  if (count < 1 || found.status != Status::success) return;
  plan.algorithm = found.algorithm;
  plan.workspaceBytes = found.workspaceBytes;
}

Products::Plan& Products::planOf(const char* op, const Shape& shape) {
  ++uses_;
  auto plan = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& p) { return p.shape == shape; });
  if (plan == plans_.end()) {
    Plan made = makePlan(op, shape);
    const auto older = [](const Plan& a, const Plan& b) { return a.lastUsed < b.lastUsed; };
    if (plans_.size() == kMostPlans) plans_.erase(std::min_element(plans_.begin(), plans_.end(), older));
    plans_.push_back(std::move(made));
    plan = plans_.end() - 1;
  }
  plan->lastUsed = uses_;
  return *plan;
}

bool Products::multiply(Context& context, const char* op, const PlainProduct& product) {
  const Shape shape = shapeOf(product);
  if (shape.rows == 0 || shape.cols == 0 || shape.steps == 0) return false;
  const Plan& plan = planOf(op, shape);
  if (!plan.algorithm) return false;
  void* const workspace =
      plan.workspaceBytes > 0
          ? context.scratch.take<std::byte>(static_cast<std::int64_t>(plan.workspaceBytes))
          : nullptr;
  const float one = 1, kept = product.added ? 1.0f : 0.0f;
  const Matrix& c = product.c;
  check(library_.functions().matmul(library_.handle(), plan.operation.get(), &one, product.b.matrix.data,
                                    plan.b.get(), product.a.matrix.data, plan.a.get(), &kept, c.data,
                                    plan.c.get(), c.data, plan.c.get(), &*plan.algorithm, workspace,
                                    plan.workspaceBytes, context.stream.handle()),
        "cublasLtMatmul", op, shape);
  return true;
}

bool multiplies(Context& context, const Linear& op) {
  const bool isPlain = !op.bias && op.activation == Activation::none && !op.preactivation && !op.residual;
  return isPlain && multiplies(context, "linear", {.a = {op.x, true}, .b = {op.weight, true}, .c = op.y});
}

bool multiplies(Context& context, const LinearInputGradient& op) {
  const bool isPlain = op.activation == Activation::none;
  return isPlain && multiplies(context, "linearInputGradient",
                               {.a = {op.dy, true}, .b = {op.weight, false}, .c = op.dx});
}

bool multiplies(Context& context, const LinearWeightGradient& op) {
  const bool isPlain = !op.dbias;
  return isPlain && multiplies(context, "linearWeightGradient",
                               {.a = {op.dy, false}, .b = {op.x, false}, .c = op.dweight, .added = true});
}

}  // namespace ddsc::cuda::cublaslt
