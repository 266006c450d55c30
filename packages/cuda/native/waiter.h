// The thread that waits for a device, so that neither the JavaScript thread nor libuv's does. There is one, since all that is waited
// for happens in the order of one stream.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "events.h"
#include "shutdown.h"
#include "task.h"

namespace tutti {

class Waiter {
 public:
  Waiter(const Context& context, TaskSink done) : context_(context), done_(std::move(done)) {}
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Runs the task once the event has passed, and hands it on. The thread starts with the first.
  void add(Event event, std::unique_ptr<Task> task);
  // Ends the thread, behind the wait that is under way. Gives the tasks that were not come to.
  std::deque<std::unique_ptr<Task>> stop();

 private:
  struct Pending {
    Event event;
    std::unique_ptr<Task> task;
  };

  void loop();
  void stopForExit();

  const Context& context_;
  TaskSink done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Pending> queue_;
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_;
  ExitHandler atExit_{[this] { stopForExit(); }};
};

}  // namespace tutti
