#pragma once
// What a CUDA op gets beside its views: the stream it runs on, scratch memory, and a library for plain
// products where one serves.

#include "cuda/device_memory.h"
#include "ops/backend.h"

namespace ddsc::cuda {

namespace cublaslt {
class Products;
}

struct Context {
  Stream& stream;
  Scratch& scratch;
  cublaslt::Products* products = nullptr;  // null: our kernels alone
  bool hasGroupProducts = false;           // whether the GPU has those of cuda/primitives.cuh, and this build
};

}  // namespace ddsc::cuda
