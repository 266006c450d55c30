// cuBLASLt, NVIDIA's library of matrix products, as a table of functions. Types and constants have the names and values of cublasLt.h
// and library_types.h of CUDA 12 and 13; no header of CUDA is needed to build.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "cuda_types.h"
#include "library.h"

namespace tutti {

using cublasStatus_t = int;
using cublasLtHandle_t = struct cublasLtContext*;
using cublasLtMatmulDesc_t = struct cublasLtMatmulDescOpaque*;
using cublasLtMatrixLayout_t = struct cublasLtMatrixLayoutOpaque*;
using cublasLtMatmulPreference_t = struct cublasLtMatmulPreferenceOpaque*;

struct cublasLtMatmulAlgo_t {
  std::uint64_t data[8];
};

struct cublasLtMatmulHeuristicResult_t {
  cublasLtMatmulAlgo_t algo;
  std::size_t workspaceSize;
  cublasStatus_t state;
  float wavesCount;
  int reserved[4];
};
static_assert(sizeof(cublasLtMatmulHeuristicResult_t) == 96, "the library's layout");

enum : cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_NOT_SUPPORTED = 15 };

enum cudaDataType_t : int { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14 };
enum cublasComputeType_t : int { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 };
enum cublasOperation_t : int { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };

enum cublasLtMatmulDescAttributes_t : int {
  CUBLASLT_MATMUL_DESC_TRANSA = 3,
  CUBLASLT_MATMUL_DESC_TRANSB = 4,
  CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8,
};

enum cublasLtEpilogue_t : int { CUBLASLT_EPILOGUE_DEFAULT = 1, CUBLASLT_EPILOGUE_BIAS = 4 };

enum cublasLtMatrixLayoutAttribute_t : int {
  CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT = 5,
  CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET = 6,
};

enum cublasLtMatmulPreferenceAttributes_t : int {
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8,
};

// Bits. What is summed in one go (0) is allowed by every mask.
enum cublasLtReductionScheme_t : std::uint32_t { CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2 };

#define TUTTI_BLAS_FUNCTIONS(F)                                                                                       \
  F(cublasLtCreate, (cublasLtHandle_t * handle))                                                                      \
  F(cublasLtDestroy, (cublasLtHandle_t handle))                                                                       \
  F(cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t * description, int compute, int scale))                           \
  F(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t description))                                                    \
  F(cublasLtMatmulDescSetAttribute,                                                                                   \
    (cublasLtMatmulDesc_t description, int attribute, const void* value, std::size_t bytes))                          \
  F(cublasLtMatrixLayoutCreate,                                                                                       \
    (cublasLtMatrixLayout_t * layout, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t leading))     \
  F(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout))                                                     \
  F(cublasLtMatrixLayoutSetAttribute,                                                                                 \
    (cublasLtMatrixLayout_t layout, int attribute, const void* value, std::size_t bytes))                             \
  F(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * preference))                                        \
  F(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference))                                         \
  F(cublasLtMatmulPreferenceSetAttribute,                                                                             \
    (cublasLtMatmulPreference_t preference, int attribute, const void* value, std::size_t bytes))                     \
  F(cublasLtMatmulAlgoGetHeuristic,                                                                                   \
    (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,   \
     cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,           \
     cublasLtMatmulHeuristicResult_t * results, int* count))                                                          \
  F(cublasLtMatmul,                                                                                                   \
    (cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha, const void* a,                     \
     cublasLtMatrixLayout_t aLayout, const void* b, cublasLtMatrixLayout_t bLayout, const void* beta, const void* c,  \
     cublasLtMatrixLayout_t cLayout, void* d, cublasLtMatrixLayout_t dLayout, const cublasLtMatmulAlgo_t* algorithm,  \
     void* workspace, std::size_t workspaceBytes, CUstream stream))

class BlasApi {
 public:
  // Loads the library at a path, or gives the one that was loaded before. Throws LIBRARY_NOT_FOUND, SYMBOL_NOT_FOUND.
  static std::shared_ptr<const BlasApi> open(const std::string& path);

#define TUTTI_MEMBER(name, parameters) cublasStatus_t(TUTTI_CUDA_CALL* name) parameters = nullptr;
  TUTTI_BLAS_FUNCTIONS(TUTTI_MEMBER)
#undef TUTTI_MEMBER

  const BlasApi& api() const { return *this; }
  // 130002 for 13.0.2.
  std::size_t version() const { return cublasLtGetVersion(); }
  bool emulated() const { return emulated_; }
  // Throws what a status other than success means.
  void check(cublasStatus_t status, const char* call) const;

 private:
  explicit BlasApi(const std::string& path);

  Library library_;
  std::size_t(TUTTI_CUDA_CALL* cublasLtGetVersion)() = nullptr;
  bool emulated_ = false;
};

}  // namespace tutti
