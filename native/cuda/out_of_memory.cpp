#include "cuda/out_of_memory.h"

#include <string>

#include "cuda/runtime.h"

namespace ddsc::cuda {
namespace {

std::string mebibytes(std::size_t bytes) { return std::to_string((bytes + (1u << 19)) >> 20) + " MiB"; }

}  // namespace

Error outOfMemory(std::size_t wanted, std::size_t held) {
  const MemoryState state = deviceMemory();
  std::string text = "the GPU has no " + mebibytes(wanted) + " for this call: " + mebibytes(state.freeBytes) +
                     " of " + mebibytes(state.totalBytes) + " are free";
  if (held > 0) text += ", and this model holds " + mebibytes(held);
  return Error("CUDA_OUT_OF_MEMORY",
               text + "; use a smaller batch, recompute activations (--recompute), bf16 or device cpu");
}

}  // namespace ddsc::cuda
