// Shared libraries, loaded by path at run time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "errors.h"
#include "shutdown.h"

namespace tutti {

// Stays loaded to the end of the process: libraries with threads and handlers of their own do not survive being unloaded.
class Library {
 public:
  // Throws LIBRARY_NOT_FOUND with what the loader says.
  explicit Library(const std::string& path);

  // Whether there is a function of this name; null where there is not.
  template <typename Function>
  bool find(const char* symbol, Function& function) const {
    function = reinterpret_cast<Function>(address(symbol));
    return function != nullptr;
  }
  // Throws SYMBOL_NOT_FOUND.
  template <typename Function>
  void require(const char* symbol, Function& function) const {
    if (!find(symbol, function)) throw symbolNotFound(symbol);
  }
  NativeError symbolNotFound(const char* symbol) const;

 private:
  void* address(const char* symbol) const;

  std::string path_;
  void* handle_;
};

// The interface of the library at a path, which the first who asks for it makes. Never destroyed: workers may end later than static
// objects do.
template <typename Api, typename Make>
std::shared_ptr<const Api> openOnce(const std::string& path, const Make& make) {
  struct Opened {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<const Api>> byPath;
  };
  static Opened* const opened = new Opened;
  std::lock_guard<std::mutex> lock(opened->mutex);
  std::shared_ptr<const Api>& known = opened->byPath[path];
  if (!known) {
    known.reset(make());
    stopThreadsBeforeLibrariesUnload();
  }
  return known;
}

// Keeps this addon's code loaded to the end of the process, for the threads that may outlive a worker's environment.
void keepThisLibraryLoaded();

}  // namespace tutti
