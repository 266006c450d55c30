#include "blas.h"

namespace tutti {
namespace {

std::string nameOf(cublasStatus_t status) {
  switch (status) {
    case 1:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case 3:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case 7:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case 8:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case 11:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case 13:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case 14:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_" + std::to_string(status);
  }
}

}  // namespace

std::shared_ptr<const BlasApi> BlasApi::open(const std::string& path) {
  return openOnce<BlasApi>(path, [&] { return new BlasApi(path); });
}

BlasApi::BlasApi(const std::string& path) : library_(path) {
  library_.require("cublasLtGetVersion", cublasLtGetVersion);
#define TUTTI_RESOLVE(name, parameters) library_.require(#name, name);
  TUTTI_BLAS_FUNCTIONS(TUTTI_RESOLVE)
#undef TUTTI_RESOLVE
  const char*(TUTTI_CUDA_CALL * emulation)();
  emulated_ = library_.find("tuttiEmulation", emulation) && emulation() != nullptr;
}

void BlasApi::check(cublasStatus_t status, const char* call) const {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string code = nameOf(status);
  throw NativeError(code, call, status, std::string(call) + ": " + code);
}

}  // namespace tutti
