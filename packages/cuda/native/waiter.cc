#include "waiter.h"

#include <chrono>

namespace tutti {
namespace {

// Work that runs longer than this is left alone at the end of the process: the driver ends it.
constexpr std::chrono::seconds longestWaitAtExit{2};

}  // namespace

Waiter::~Waiter() { stop(); }

void Waiter::add(Event event, std::unique_ptr<Task> task) {
  std::lock_guard<std::mutex> lock(mutex_);
  // First what may fail: then the task was not taken.
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  queue_.push_back({std::move(event), std::move(task)});
  changed_.notify_all();
}

std::deque<std::unique_ptr<Task>> Waiter::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::deque<std::unique_ptr<Task>> left;
  for (Pending& each : queue_) left.push_back(std::move(each.task));
  queue_.clear();
  return left;
}

void Waiter::stopForExit() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  if (thread_.joinable()) changed_.wait_for(lock, longestWaitAtExit, [this] { return ended_; });
}

void Waiter::loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) break;
    Pending next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      context_.makeCurrent();
      TUTTI_CALL(context_, cuEventSynchronize, next.event.handle());
      next.task->runCatching();
    } catch (const NativeError& thrown) {
      next.task->error = thrown;
    }
    next.event = Event();
    done_(std::move(next.task));
    lock.lock();
  }
  ended_ = true;
  changed_.notify_all();
}

}  // namespace tutti
