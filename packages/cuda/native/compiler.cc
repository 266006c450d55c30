#include "compiler.h"

#include <chrono>

namespace tutti {
namespace {

// More would gain little: NVRTC holds locks of its own over a part of each compilation.
constexpr std::size_t mostThreads = 2;
// A compiler that cannot be cancelled is inside its library when the process ends, which must not go away under it.
constexpr std::chrono::seconds longestWaitAtExit{30};

int isCancelled(void* stopping, void*) { return *static_cast<const std::atomic<bool>*>(stopping) ? 1 : 0; }

}  // namespace

void CompileTask::run() {
  result = nvrtc_->compile(source_, name_, options_, isCancelled, const_cast<std::atomic<bool>*>(stopping_));
}

CompileThreads::~CompileThreads() { stop(); }

void CompileThreads::add(std::unique_ptr<CompileTask> task) {
  task->nvrtc_ = &nvrtc_;
  task->stopping_ = &stopping_;
  std::lock_guard<std::mutex> lock(mutex_);
  // First what may fail: then the task was not taken.
  if (queue_.size() >= idle_ && threads_.size() < mostThreads) threads_.emplace_back([this] { loop(); });
  queue_.push_back(std::move(task));
  changed_.notify_one();
}

std::deque<std::unique_ptr<Task>> CompileThreads::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& each : threads_) {
    if (each.joinable()) each.join();
  }
  return std::move(queue_);
}

void CompileThreads::stopForExit() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, longestWaitAtExit, [this] { return ended_ == threads_.size(); });
}

void CompileThreads::loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) break;
    std::unique_ptr<Task> task = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    task->runCatching();
    done_(std::move(task));
    lock.lock();
  }
  ++ended_;
  changed_.notify_all();
}

}  // namespace tutti
