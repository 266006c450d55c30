#include "library.h"

#ifdef _WIN32
#include <windows.h>

#include <filesystem>
#else
#include <dlfcn.h>
#endif

namespace tutti {
namespace {

#ifdef _WIN32

void* load(const std::string& path) {
  const int units = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring wide(units, L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, wide.data(), units);
  // What a library itself needs lies beside it, if it was given by a whole path. For any other path this is not defined.
  const bool absolute = std::filesystem::path(wide.c_str()).is_absolute();
  return LoadLibraryExW(wide.c_str(), nullptr, absolute ? LOAD_WITH_ALTERED_SEARCH_PATH : 0);
}

std::string lastError(const std::string& path) {
  return path + ": Windows error " + std::to_string(GetLastError());
}

#else

void* load(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

std::string lastError(const std::string& path) {
  const char* message = dlerror();
  return message ? message : path + ": cannot be loaded";
}

#endif

}  // namespace

Library::Library(const std::string& path) : path_(path), handle_(load(path)) {
  if (!handle_) throw NativeError("LIBRARY_NOT_FOUND", "dlopen", 0, lastError(path));
}

void* Library::address(const char* symbol) const {
#ifdef _WIN32
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle_), symbol));
#else
  return dlsym(handle_, symbol);
#endif
}

NativeError Library::symbolNotFound(const char* symbol) const {
  return NativeError("SYMBOL_NOT_FOUND", symbol, 0, path_ + " has no function " + symbol);
}

void keepThisLibraryLoaded() {
#ifdef _WIN32
  HMODULE self = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(&keepThisLibraryLoaded), &self);
#else
  Dl_info self;
  if (!dladdr(reinterpret_cast<void*>(&keepThisLibraryLoaded), &self)) return;
  // Without RTLD_NODELETE on it, the last environment that goes would take the code away.
  dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

}  // namespace tutti
