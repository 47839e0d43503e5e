#pragma once
#include "cuda/context.h"
#include "ops/ops.h"

namespace ddsc::cuda::cublaslt {

// Whether cuBLASLt does the op, which is then on the stream: a plain product of bf16, where the context has
// the library. What has a bias, an activation, a residual or a bias' gradient stays with our kernels, which
// need no second pass for it, and so does float32.

bool multiplies(Context& context, const Linear& op);
bool multiplies(Context& context, const LinearInputGradient& op);
bool multiplies(Context& context, const LinearWeightGradient& op);

}  // namespace ddsc::cuda::cublaslt
