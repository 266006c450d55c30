#include "blas.h"

#include <map>
#include <mutex>
#include <type_traits>

#include "shutdown.h"

namespace tutti {
namespace {

// Opened libraries by path. Never destroyed: workers may end later than static objects do.
struct OpenLibraries {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const BlasApi>> byPath;
};

OpenLibraries& openLibraries() {
  static OpenLibraries* const libraries = new OpenLibraries;
  return *libraries;
}

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
  OpenLibraries& libraries = openLibraries();
  std::lock_guard<std::mutex> lock(libraries.mutex);
  std::shared_ptr<const BlasApi>& known = libraries.byPath[path];
  if (!known) {
    known.reset(new BlasApi(path));
    stopThreadsBeforeLibrariesUnload();
  }
  return known;
}

BlasApi::BlasApi(const std::string& path) : library_(path) {
  const auto find = [&](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(library_.find(name));
    return function != nullptr;
  };
  if (!find("cublasLtGetVersion", cublasLtGetVersion)) throw symbolNotFound(library_, "cublasLtGetVersion");
#define TUTTI_RESOLVE(name, parameters) \
  if (!find(#name, name)) throw symbolNotFound(library_, #name);
  TUTTI_BLAS_FUNCTIONS(TUTTI_RESOLVE)
#undef TUTTI_RESOLVE
  const char*(TUTTI_CUDA_CALL * emulation)();
  emulated_ = find("tuttiEmulation", emulation) && emulation() != nullptr;
}

void BlasApi::check(cublasStatus_t status, const char* call) const {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string code = nameOf(status);
  throw NativeError(code, call, status, std::string(call) + ": " + code);
}

}  // namespace tutti
