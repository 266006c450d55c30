// Threads of ours against the end of the process. `process.exit()` tears libraries down without ending an environment first, and a
// library that is being torn down must not be inside a call.
#pragma once

namespace tutti {

// Something with threads that call into libraries.
class Stoppable {
 public:
  // Registers itself; the destructor takes it off the list again.
  Stoppable();
  virtual ~Stoppable();
  Stoppable(const Stoppable&) = delete;
  Stoppable& operator=(const Stoppable&) = delete;

  // Asks the threads to make no further call, and waits a short while for those under way. The process is ending.
  virtual void stopForExit() = 0;
};

// To be called after a library was loaded: handlers run in the reverse order, so ours comes before the library's own.
void stopThreadsBeforeLibrariesUnload();

}  // namespace tutti
