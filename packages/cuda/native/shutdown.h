// Threads of ours against the end of the process. `process.exit()` tears libraries down without ending an environment first, and a
// library that is being torn down must not be inside a call.
#pragma once

#include <functional>

namespace tutti {

// For whoever has such threads: the last of its members, as what is called must still be there.
class ExitHandler {
 public:
  // `stop` asks the threads to make no further call, and waits a short while for those under way. On any thread.
  explicit ExitHandler(std::function<void()> stop);
  ~ExitHandler();
  ExitHandler(const ExitHandler&) = delete;
  ExitHandler& operator=(const ExitHandler&) = delete;

  void operator()() const { stop_(); }

 private:
  std::function<void()> stop_;
};

// To be called after a library was loaded: handlers run in the reverse order, so ours comes before the library's own.
void stopThreadsBeforeLibrariesUnload();

}  // namespace tutti
