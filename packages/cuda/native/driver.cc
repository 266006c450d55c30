#include "driver.h"

#include <map>
#include <mutex>

#include "shutdown.h"

namespace tutti {
namespace {

// Opened drivers by path. Never destroyed: workers may end later than static objects do.
struct OpenDrivers {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const DriverApi>> byPath;
};

OpenDrivers& openDrivers() {
  static OpenDrivers* const drivers = new OpenDrivers;
  return *drivers;
}

template <typename Function>
bool find(const Library& library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(library.find(name));
  return function != nullptr;
}

}  // namespace

std::shared_ptr<const DriverApi> DriverApi::open(const std::string& path) {
  OpenDrivers& drivers = openDrivers();
  std::lock_guard<std::mutex> lock(drivers.mutex);
  std::shared_ptr<const DriverApi>& known = drivers.byPath[path];
  if (!known) {
    known.reset(new DriverApi(path));
    stopThreadsBeforeLibrariesUnload();
  }
  return known;
}

DriverApi::DriverApi(const std::string& path) : library_(path) {
  resolve();
  CUresult(TUTTI_CUDA_CALL * cuInit)(unsigned);
  CUresult(TUTTI_CUDA_CALL * cuDriverGetVersion)(int*);
  if (!find(library_, "cuInit", cuInit)) throw symbolNotFound(library_, "cuInit");
  if (!find(library_, "cuDriverGetVersion", cuDriverGetVersion)) {
    throw symbolNotFound(library_, "cuDriverGetVersion");
  }
  check(cuInit(0), "cuInit");
  check(cuDriverGetVersion(&version_), "cuDriverGetVersion");
  const char*(TUTTI_CUDA_CALL * emulation)();
  emulated_ = find(library_, "tuttiEmulation", emulation) && emulation() != nullptr;
}

void DriverApi::resolve() {
  find(library_, "cuGetErrorName", cuGetErrorName);
  find(library_, "cuGetErrorString", cuGetErrorString);
#define TUTTI_RESOLVE(name, parameters) \
  if (!find(library_, #name, name) && !missing_) missing_ = #name;
  TUTTI_DRIVER_FUNCTIONS(TUTTI_RESOLVE)
#undef TUTTI_RESOLVE
}

void DriverApi::requireWhole() const {
  if (missing_) throw symbolNotFound(library_, missing_);
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
