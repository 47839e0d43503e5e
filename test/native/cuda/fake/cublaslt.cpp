// A stand-in for NVIDIA's cuBLASLt, loaded by the emulator's tests: the functions that are used, by what
// NVIDIA documents of them, on the host. Written from that documentation and not with our own declarations
// (cuda/cublaslt/library.h), so that a mistake there shows here. Refuses what the library would: wrong sizes
// of attributes, operands that do not fit, memory less aligned than promised, too little workspace, an
// algorithm that was chosen for something else.
//
// DDSC_FAKE_CUBLASLT makes it another library: old, unable to start ("no-start"), without an algorithm for
// anything
// ("no-algorithm"), failing in every product ("failing") or slow ("slow").

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "core/bf16.h"
#include "test/native/cuda/emulator/stream_handle.h"

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum : int {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
};
constexpr int CUDA_R_32F = 0, CUDA_R_16BF = 14, CUBLAS_COMPUTE_32F = 68;
constexpr std::int32_t CUBLAS_OP_N = 0, CUBLAS_OP_T = 1;
constexpr int CUBLASLT_MATMUL_DESC_TRANSA = 3, CUBLASLT_MATMUL_DESC_TRANSB = 4;
constexpr int CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
              CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8;
constexpr std::uintptr_t kWorkspaceAlignment = 256;

struct Handle {
  std::uint64_t magic;
};
constexpr std::uint64_t kMagic = 0x63754c74;

struct MatmulDesc {
  int computeType, scaleType;
  std::int32_t formOfA = CUBLAS_OP_N, formOfB = CUBLAS_OP_N;
};

/// Column-major.
struct Layout {
  int type;
  std::uint64_t rows, cols;
  std::int64_t leadingDimension;

  std::size_t at(std::uint64_t row, std::uint64_t col) const {
    return row + col * static_cast<std::size_t>(leadingDimension);
  }
};

struct Preference {
  std::uint64_t mostWorkspace = 0;
  std::uint32_t reductionSchemes = 7;
  std::uint32_t alignment[4] = {256, 256, 256, 256};
};

/// All that an algorithm was chosen for.
struct Problem {
  std::uint64_t m, n, k;
  std::int32_t lda, ldb, ldd;
  std::uint16_t alignment[4];
  std::uint8_t formOfA, formOfB, typeOfD, unused;
  std::uint64_t workspace;
};

/// cublasLtMatmulAlgo_t: 64 bytes that its user copies.
struct Algorithm {
  Problem problem;
  std::uint64_t unused;
};
static_assert(sizeof(Algorithm) == 64);

struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspaceSize;
  int state;
  float wavesCount;
  int reserved[4];
};

bool is(std::string_view mode) {
  const char* const given = std::getenv("DDSC_FAKE_CUBLASLT");
  return given != nullptr && mode == given;
}

template <class T>
bool copyAttribute(T& to, const void* from, std::size_t bytes) {
  if (from == nullptr || bytes != sizeof to) return false;
  std::memcpy(&to, from, sizeof to);
  return true;
}

/// Whether the operands make a product; the sizes of it.
bool fits(const MatmulDesc& desc, const Layout& a, const Layout& b, const Layout& c, const Layout& d,
          Problem& problem) {
  const bool transposesA = desc.formOfA == CUBLAS_OP_T, transposesB = desc.formOfB == CUBLAS_OP_T;
  const std::uint64_t m = transposesA ? a.cols : a.rows, k = transposesA ? a.rows : a.cols;
  const std::uint64_t inner = transposesB ? b.cols : b.rows, n = transposesB ? b.rows : b.cols;
  const bool typesFit = desc.computeType == CUBLAS_COMPUTE_32F && desc.scaleType == CUDA_R_32F &&
                        a.type == CUDA_R_16BF && b.type == CUDA_R_16BF && c.type == d.type;
  const bool sizesFit = inner == k && d.rows == m && d.cols == n && c.rows == m && c.cols == n;
  problem = {.m = m,
             .n = n,
             .k = k,
             .lda = static_cast<std::int32_t>(a.leadingDimension),
             .ldb = static_cast<std::int32_t>(b.leadingDimension),
             .ldd = static_cast<std::int32_t>(d.leadingDimension),
             .alignment = {},
             .formOfA = static_cast<std::uint8_t>(desc.formOfA),
             .formOfB = static_cast<std::uint8_t>(desc.formOfB),
             .typeOfD = static_cast<std::uint8_t>(d.type),
             .unused = 0,
             .workspace = 0};
  return typesFit && sizesFit && m > 0 && n > 0 && k > 0;
}

bool isAlignedTo(const void* data, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(data) % bytes == 0;
}

float bf16At(const void* data, std::size_t i) {
  return ddsc::toFloat(static_cast<const ddsc::bf16*>(data)[i]);
}

struct Product {
  Problem problem;
  float alpha, beta;
  const void *a, *b, *c;
  void *d, *workspace;
  Layout layoutOfA, layoutOfB, layoutOfC;

  void compute() const {
    if (problem.workspace > 0) std::memset(workspace, 0xFF, problem.workspace);
    for (std::uint64_t col = 0; col < problem.n; ++col)
      for (std::uint64_t row = 0; row < problem.m; ++row) write(row, col);
  }

 private:
  void write(std::uint64_t row, std::uint64_t col) const {
    float sum = 0;
    for (std::uint64_t step = 0; step < problem.k; ++step) {
      const std::size_t atA =
          problem.formOfA == CUBLAS_OP_T ? layoutOfA.at(step, row) : layoutOfA.at(row, step);
      const std::size_t atB =
          problem.formOfB == CUBLAS_OP_T ? layoutOfB.at(col, step) : layoutOfB.at(step, col);
      sum += bf16At(a, atA) * bf16At(b, atB);
    }
    const std::size_t at = layoutOfC.at(row, col);
    float value = alpha * sum;
    // What is multiplied by 0 is not read, and may be anything.
    if (layoutOfC.type == CUDA_R_32F) {
      if (beta != 0) value += beta * static_cast<const float*>(c)[at];
      static_cast<float*>(d)[at] = value;
    } else {
      if (beta != 0) value += beta * bf16At(c, at);
      static_cast<ddsc::bf16*>(d)[at] = ddsc::toBf16(value);
    }
  }
};

std::atomic<int> productsGiven{0};

}  // namespace

/// Products that were given to this library so far.
FAKE_EXPORT int fakeCublasLtProducts() { return productsGiven; }

FAKE_EXPORT int cublasLtCreate(Handle** handle) {
  if (is("no-start")) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new Handle{kMagic};
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtDestroy(Handle* handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT std::size_t cublasLtGetVersion() { return is("old") ? 111103 : 130101; }

FAKE_EXPORT const char* cublasLtGetStatusName(int status) {
  switch (status) {
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "<unknown>";
  }
}

FAKE_EXPORT int cublasLtMatmulDescCreate(MatmulDesc** desc, int computeType, int scaleType) {
  *desc = new MatmulDesc{computeType, scaleType};
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmulDescSetAttribute(MatmulDesc* desc, int attribute, const void* value,
                                               std::size_t bytes) {
  std::int32_t form = 0;
  const bool isA = attribute == CUBLASLT_MATMUL_DESC_TRANSA;
  if (!isA && attribute != CUBLASLT_MATMUL_DESC_TRANSB) return CUBLAS_STATUS_INVALID_VALUE;
  if (!copyAttribute(form, value, bytes) || (form != CUBLAS_OP_N && form != CUBLAS_OP_T))
    return CUBLAS_STATUS_INVALID_VALUE;
  (isA ? desc->formOfA : desc->formOfB) = form;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmulDescDestroy(MatmulDesc* desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatrixLayoutCreate(Layout** layout, int type, std::uint64_t rows, std::uint64_t cols,
                                           std::int64_t leadingDimension) {
  const bool fits = leadingDimension >= static_cast<std::int64_t>(rows) && leadingDimension <= INT32_MAX;
  if ((type != CUDA_R_32F && type != CUDA_R_16BF) || !fits) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new Layout{type, rows, cols, leadingDimension};
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatrixLayoutDestroy(Layout* layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmulPreferenceCreate(Preference** preference) {
  *preference = new Preference;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value,
                                                     std::size_t bytes) {
  bool good = false;
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    good = copyAttribute(preference->mostWorkspace, value, bytes);
  } else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
    good = copyAttribute(preference->reductionSchemes, value, bytes);
  } else if (attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
             attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES) {
    std::uint32_t& alignment = preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES];
    good = copyAttribute(alignment, value, bytes) && alignment > 0;
  }
  return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

FAKE_EXPORT int cublasLtMatmulPreferenceDestroy(Preference* preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmulAlgoGetHeuristic(Handle* handle, MatmulDesc* desc, Layout* a, Layout* b,
                                               Layout* c, Layout* d, Preference* preference, int wanted,
                                               HeuristicResult* results, int* count) {
  *count = 0;
  if (handle == nullptr || handle->magic != kMagic) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  Problem problem;
  if (!fits(*desc, *a, *b, *c, *d, problem)) return CUBLAS_STATUS_INVALID_VALUE;
  if (is("no-algorithm")) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (int i = 0; i < 4; ++i) problem.alignment[i] = static_cast<std::uint16_t>(preference->alignment[i]);
  // The sums of two parts, where they may be kept in float.
  problem.workspace = (preference->reductionSchemes & 2) != 0 ? 2 * sizeof(float) * problem.m * problem.n : 0;
  if (problem.workspace > preference->mostWorkspace) problem.workspace = 0;
  *results = {{problem, 0}, problem.workspace, CUBLAS_STATUS_SUCCESS, 1.0f, {}};
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

FAKE_EXPORT int cublasLtMatmul(Handle* handle, MatmulDesc* desc, const void* alpha, const void* a,
                               Layout* layoutOfA, const void* b, Layout* layoutOfB, const void* beta,
                               const void* c, Layout* layoutOfC, void* d, Layout* layoutOfD,
                               const Algorithm* algorithm, void* workspace, std::size_t workspaceBytes,
                               void* stream) {
  if (handle == nullptr || handle->magic != kMagic) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (is("failing")) return CUBLAS_STATUS_EXECUTION_FAILED;
  Problem problem;
  if (!fits(*desc, *layoutOfA, *layoutOfB, *layoutOfC, *layoutOfD, problem))
    return CUBLAS_STATUS_INVALID_VALUE;
  const Problem& chosen = algorithm->problem;
  std::memcpy(problem.alignment, chosen.alignment, sizeof problem.alignment);
  problem.workspace = chosen.workspace;
  const void* const operands[] = {a, b, c, d};
  bool good = std::memcmp(&problem, &chosen, sizeof problem) == 0 && workspaceBytes >= chosen.workspace;
  for (int i = 0; i < 4; ++i) good = good && isAlignedTo(operands[i], chosen.alignment[i]);
  if (chosen.workspace > 0)
    good = good && workspace != nullptr && isAlignedTo(workspace, kWorkspaceAlignment);
  if (c == d) good = good && layoutOfC->leadingDimension == layoutOfD->leadingDimension;
  if (!good) return CUBLAS_STATUS_INVALID_VALUE;
  ++productsGiven;
  const Product product{problem,
                        *static_cast<const float*>(alpha),
                        *static_cast<const float*>(beta),
                        a,
                        b,
                        c,
                        d,
                        workspace,
                        *layoutOfA,
                        *layoutOfB,
                        *layoutOfC};
  static_cast<ddsc::cuda::emulator::StreamHandle*>(stream)->enqueue([product] {
    if (is("slow")) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    product.compute();
  });
  return CUBLAS_STATUS_SUCCESS;
}
