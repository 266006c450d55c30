#include "driver.h"

namespace tutti {

std::shared_ptr<const DriverApi> DriverApi::open(const std::string& path) {
  return openOnce<DriverApi>(path, [&] { return new DriverApi(path); });
}

DriverApi::DriverApi(const std::string& path) : library_(path) {
  resolve();
  CUresult(TUTTI_CUDA_CALL * cuInit)(unsigned);
  CUresult(TUTTI_CUDA_CALL * cuDriverGetVersion)(int*);
  library_.require("cuInit", cuInit);
  library_.require("cuDriverGetVersion", cuDriverGetVersion);
  check(cuInit(0), "cuInit");
  check(cuDriverGetVersion(&version_), "cuDriverGetVersion");
  const char*(TUTTI_CUDA_CALL * emulation)();
  emulated_ = library_.find("tuttiEmulation", emulation) && emulation() != nullptr;
}

void DriverApi::resolve() {
  library_.find("cuGetErrorName", cuGetErrorName);
  library_.find("cuGetErrorString", cuGetErrorString);
#define TUTTI_RESOLVE(name, parameters) \
  if (!library_.find(#name, name) && !missing_) missing_ = #name;
  TUTTI_DRIVER_FUNCTIONS(TUTTI_RESOLVE)
#undef TUTTI_RESOLVE
}

void DriverApi::requireWhole() const {
  if (missing_) throw library_.symbolNotFound(missing_);
}

void DriverApi::check(CUresult status, const char* call) const {
  if (status != CUDA_SUCCESS) throw error(status, call);
}

NativeError DriverApi::error(CUresult status, const char* call) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (!cuGetErrorName || cuGetErrorName(status, &name) != CUDA_SUCCESS) name = nullptr;
  if (!cuGetErrorString || cuGetErrorString(status, &text) != CUDA_SUCCESS) text = nullptr;
  const std::string code = name ? name : "CUDA_ERROR_" + std::to_string(status);
  std::string message = std::string(call) + ": " + code;
  if (text) message += std::string(" (") + text + ")";
  return NativeError(code, call, status, message);
}

}  // namespace tutti
