#pragma once
#include <memory>

#include "cuda/cublaslt/products.h"

namespace ddsc::cuda::cublaslt {

/// What DDSC_GEMM says: own kernels alone ("own", the default), those that only Hopper GPUs run among them
/// ("hopper"), cuBLASLt for plain products of bf16 ("cublaslt"), or whichever of the first and the last a
/// measurement says ("auto").
enum class Choice : std::uint8_t { own, hopper, library, measured };

/// Throws Error GEMM_UNKNOWN for another word.
Choice choiceFromEnvironment();

/// What plain products are to be computed with on the context's device; null: our kernels. Throws Error
/// GEMM_UNKNOWN, and GEMM_UNAVAILABLE where cuBLASLt was asked for and cannot be used.
std::unique_ptr<Products> chosenProducts(Context& context);
}  // namespace ddsc::cuda::cublaslt
