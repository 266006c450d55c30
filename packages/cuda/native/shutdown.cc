#include "shutdown.h"

#include <cstdlib>
#include <mutex>
#include <set>
#include <utility>

namespace tutti {
namespace {

// Never destroyed: the handler below runs among the destructors of static objects.
struct Running {
  std::mutex mutex;
  std::set<const ExitHandler*> all;
};

Running& running() {
  static Running* const list = new Running;
  return *list;
}

void stopAll() {
  std::lock_guard<std::mutex> lock(running().mutex);
  for (const ExitHandler* each : running().all) (*each)();
}

}  // namespace

ExitHandler::ExitHandler(std::function<void()> stop) : stop_(std::move(stop)) {
  std::lock_guard<std::mutex> lock(running().mutex);
  running().all.insert(this);
}

ExitHandler::~ExitHandler() {
  std::lock_guard<std::mutex> lock(running().mutex);
  running().all.erase(this);
}

void stopThreadsBeforeLibrariesUnload() { std::atexit(stopAll); }

}  // namespace tutti
