#include "shutdown.h"

#include <cstdlib>
#include <mutex>
#include <set>

namespace tutti {
namespace {

// Never destroyed: the handler below runs among the destructors of static objects.
struct Running {
  std::mutex mutex;
  std::set<Stoppable*> all;
};

Running& running() {
  static Running* const list = new Running;
  return *list;
}

void stopAll() {
  std::lock_guard<std::mutex> lock(running().mutex);
  for (Stoppable* each : running().all) each->stopForExit();
}

}  // namespace

Stoppable::Stoppable() {
  std::lock_guard<std::mutex> lock(running().mutex);
  running().all.insert(this);
}

Stoppable::~Stoppable() {
  std::lock_guard<std::mutex> lock(running().mutex);
  running().all.erase(this);
}

void stopThreadsBeforeLibrariesUnload() { std::atexit(stopAll); }

}  // namespace tutti
