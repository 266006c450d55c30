// Work that native threads do and the JavaScript thread answers for.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "errors.h"

namespace tutti {

class Task {
 public:
  virtual ~Task() = default;

  // Runs on a native thread. Nothing that it throws is lost: it becomes `error`.
  void runCatching() noexcept;

  std::optional<NativeError> error;

 protected:
  virtual void run() {}
};

// Takes a task that is done, on a native thread. Tasks are destroyed on the JavaScript thread alone.
using TaskSink = std::function<void(std::unique_ptr<Task>)>;

}  // namespace tutti
