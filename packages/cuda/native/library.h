// Shared libraries, loaded by path at run time.
#pragma once

#include <string>

#include "errors.h"

namespace tutti {

// Stays loaded to the end of the process: libraries with threads and handlers of their own do not survive being unloaded.
class Library {
 public:
  // Throws LIBRARY_NOT_FOUND with what the loader says.
  explicit Library(const std::string& path);

  // Null where there is none of this name.
  void* find(const char* symbol) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  void* handle_;
};

NativeError symbolNotFound(const Library& library, const char* symbol);

// Keeps this addon's code loaded to the end of the process, for the threads that may outlive a worker's environment.
void keepThisLibraryLoaded();

}  // namespace tutti
