// Compilations on threads of their own: one takes from 50 milliseconds to seconds.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "nvrtc.h"
#include "shutdown.h"
#include "task.h"

namespace tutti {

class CompileTask : public Task {
 public:
  CompileTask(std::string source, std::string name, std::vector<std::string> options)
      : source_(std::move(source)), name_(std::move(name)), options_(std::move(options)) {}

  Nvrtc::Result result;

 protected:
  void run() override;

 private:
  friend class CompileThreads;
  std::string source_;
  std::string name_;
  std::vector<std::string> options_;
  const Nvrtc* nvrtc_ = nullptr;
  const std::atomic<bool>* stopping_ = nullptr;
};

class CompileThreads {
 public:
  CompileThreads(const Nvrtc& nvrtc, TaskSink done) : nvrtc_(nvrtc), done_(std::move(done)) {}
  ~CompileThreads();
  CompileThreads(const CompileThreads&) = delete;
  CompileThreads& operator=(const CompileThreads&) = delete;

  // Threads start as they are needed.
  void add(std::unique_ptr<CompileTask> task);
  // Ends the threads; compilations under way are cancelled where the compiler can do that. Gives the tasks that were not come to.
  std::deque<std::unique_ptr<Task>> stop();

 private:
  void loop();
  void stopForExit();

  const Nvrtc& nvrtc_;
  TaskSink done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Task>> queue_;
  std::atomic<bool> stopping_{false};
  std::size_t idle_ = 0;
  std::size_t ended_ = 0;
  std::vector<std::thread> threads_;
  ExitHandler atExit_{[this] { stopForExit(); }};
};

}  // namespace tutti
