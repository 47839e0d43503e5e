#include "cuda/cublaslt/library.h"

#include <dlfcn.h>

#include <utility>

#include "core/errors.h"

namespace ddsc::cuda::cublaslt {
namespace {

/// 12.0: what came before does not know all of the GPUs and functions.
constexpr std::size_t kLeastVersion = 120000;

std::string versionText(std::size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

template <class Function>
void find(void* library, const char* name, Function*& function, std::string& missing) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr && missing.empty()) missing = name;
}

/// The name of the first function that the library does not have; empty: all are found.
std::string findAll(void* library, Functions& f) {
  std::string missing;
  find(library, "cublasLtCreate", f.create, missing);
  find(library, "cublasLtDestroy", f.destroy, missing);
  find(library, "cublasLtGetVersion", f.getVersion, missing);
  find(library, "cublasLtGetStatusName", f.getStatusName, missing);
  find(library, "cublasLtMatmulDescCreate", f.matmulDescCreate, missing);
  find(library, "cublasLtMatmulDescSetAttribute", f.matmulDescSetAttribute, missing);
  find(library, "cublasLtMatmulDescDestroy", f.matmulDescDestroy, missing);
  find(library, "cublasLtMatrixLayoutCreate", f.matrixLayoutCreate, missing);
  find(library, "cublasLtMatrixLayoutDestroy", f.matrixLayoutDestroy, missing);
  find(library, "cublasLtMatmulPreferenceCreate", f.matmulPreferenceCreate, missing);
  find(library, "cublasLtMatmulPreferenceSetAttribute", f.matmulPreferenceSetAttribute, missing);
  find(library, "cublasLtMatmulPreferenceDestroy", f.matmulPreferenceDestroy, missing);
  find(library, "cublasLtMatmulAlgoGetHeuristic", f.matmulAlgoGetHeuristic, missing);
  find(library, "cublasLtMatmul", f.matmul, missing);
  return missing;
}

}  // namespace

Library::Library(const std::vector<std::string>& names) {
  std::string problems;
  for (const std::string& name : names) {
    const std::string problem = start(name);
    if (problem.empty()) return;
    problems += (problems.empty() ? "" : "; ") + problem;
  }
  throw Error("GEMM_UNAVAILABLE",
              "DDSC_GEMM asks for cuBLASLt, which cannot be used: " + problems +
                  "; put the folder of version 12.0 or newer (it comes with the CUDA toolkit and with "
                  "PyTorch) in LD_LIBRARY_PATH, or unset DDSC_GEMM");
}

Library::~Library() {
  if (handle_ != nullptr) static_cast<void>(functions_.destroy(handle_));
}

std::string Library::version() const { return versionText(functions_.getVersion()); }

std::string Library::start(const std::string& name) {
  // Never unloaded: other parts of the process may have it, too, and a CUDA library leaves things behind.
  void* const library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const problem = dlerror();
    return problem != nullptr ? problem : name + " does not load";
  }
  const std::string missing = findAll(library, functions_);
  if (!missing.empty()) return name + " has no " + missing;
  if (functions_.getVersion() < kLeastVersion)
    return name + " is version " + version() + ", and " + versionText(kLeastVersion) + " is needed";
  const Status status = functions_.create(&handle_);
  if (status == Status::success) return "";
  handle_ = nullptr;
  return name + " does not start on this GPU (" + functions_.getStatusName(status) + ")";
}

}  // namespace ddsc::cuda::cublaslt
