#pragma once
#include "cuda/cublaslt/products.h"

namespace ddsc::cuda::cublaslt {

/// Whether the library takes at least a tenth less time than our kernels for the products of a training step
/// that it would serve. Measures both now, in some hundredths of a second.
bool isClearlyFaster(Context& context, Products& products);

}  // namespace ddsc::cuda::cublaslt
