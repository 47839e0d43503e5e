#include "cuda/cublaslt/linear.h"

#include "cuda/cublaslt/products.h"

namespace ddsc::cuda::cublaslt {
namespace {

bool multiplies(Context& context, const char* op, const PlainProduct& product) {
  return context.products != nullptr && product.a.matrix.type == DType::bf16 &&
         context.products->multiply(context, op, product);
}

}  // namespace

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
