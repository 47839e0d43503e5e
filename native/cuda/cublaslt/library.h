#pragma once
#include <string>
#include <vector>

#include "cuda/cublaslt/api.h"

namespace ddsc::cuda::cublaslt {

/// cuBLASLt as it was found, started on the device that was current.
class Library {
 public:
  /// The first of the names that loads, is not too old and starts. Throws Error GEMM_UNAVAILABLE with what
  /// each of them lacks.
  explicit Library(const std::vector<std::string>& names);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const Functions& functions() const { return functions_; }
  HandleState* handle() const { return handle_; }
  /// "13.1.1".
  std::string version() const;

 private:
  /// What hinders it; empty: nothing, and it is started.
  std::string start(const std::string& name);

  Functions functions_{};
  HandleState* handle_ = nullptr;
};

}  // namespace ddsc::cuda::cublaslt
