#pragma once
// The part of NVIDIA's cuBLASLt that is used here, declared anew: the library is loaded when the program
// runs, and its headers need not be there when it is built. Functions, values and sizes are those that NVIDIA
// documents for the cuBLASLt API and that cublasLt.h, cublas_api.h and library_types.h of versions 12 and 13
// have. Matrices are column-major.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ddsc::cuda::cublaslt {

// The library's own; known by address alone.
struct HandleState;      // cublasLtHandle_t
struct OperationState;   // cublasLtMatmulDesc_t
struct LayoutState;      // cublasLtMatrixLayout_t
struct PreferenceState;  // cublasLtMatmulPreference_t

enum class Status : int { success = 0, notSupported = 15 };            // cublasStatus_t
enum class DataType : int { float32 = 0, bf16 = 14 };                  // cudaDataType
enum class ComputeType : int { float32 = 68 };                         // CUBLAS_COMPUTE_32F
enum class OperandForm : std::int32_t { asItIs = 0, transposed = 1 };  // cublasOperation_t
enum class OperationAttribute : int {
  firstForm = 3,
  secondForm = 4
};  // CUBLASLT_MATMUL_DESC_TRANSA, _TRANSB
enum class ReductionSchemes : std::uint32_t { inFloat32 = 2 };  // of a sum in parts; _COMPUTE_TYPE
enum class PreferenceAttribute : int {                          // CUBLASLT_MATMUL_PREF_
  mostWorkspaceBytes = 1,                                       // std::uint64_t
  reductionSchemes = 3,
  // std::uint32_t, bytes
  alignmentOfA = 5,
  alignmentOfB = 6,
  alignmentOfC = 7,
  alignmentOfD = 8,
};

/// cublasLtMatmulAlgo_t
struct Algorithm {
  std::uint64_t data[8];
};

/// cublasLtMatmulHeuristicResult_t
struct Suggestion {
  Algorithm algorithm;
  std::size_t workspaceBytes;
  Status status;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Suggestion) == 96 && offsetof(Suggestion, status) == 72);

/// The library's functions: cublasLtCreate and so on.
struct Functions {
  Status (*create)(HandleState**);
  Status (*destroy)(HandleState*);
  std::size_t (*getVersion)();
  const char* (*getStatusName)(Status);
  Status (*matmulDescCreate)(OperationState**, ComputeType, DataType scale);
  Status (*matmulDescSetAttribute)(OperationState*, OperationAttribute, const void* value, std::size_t bytes);
  Status (*matmulDescDestroy)(OperationState*);
  Status (*matrixLayoutCreate)(LayoutState**, DataType, std::uint64_t rows, std::uint64_t cols,
                               std::int64_t leadingDimension);
  Status (*matrixLayoutDestroy)(LayoutState*);
  Status (*matmulPreferenceCreate)(PreferenceState**);
  Status (*matmulPreferenceSetAttribute)(PreferenceState*, PreferenceAttribute, const void* value,
                                         std::size_t bytes);
  Status (*matmulPreferenceDestroy)(PreferenceState*);
  Status (*matmulAlgoGetHeuristic)(HandleState*, OperationState*, LayoutState* a, LayoutState* b,
                                   LayoutState* c, LayoutState* d, PreferenceState*, int wanted,
                                   Suggestion* found, int* count);
  /// d = alpha a b + beta c on a stream; alpha and beta are read from the host during the call.
  Status (*matmul)(HandleState*, OperationState*, const void* alpha, const void* a, LayoutState*,
                   const void* b, LayoutState*, const void* beta, const void* c, LayoutState*, void* d,
                   LayoutState*, const Algorithm*, void* workspace, std::size_t workspaceBytes, void* stream);
};

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
