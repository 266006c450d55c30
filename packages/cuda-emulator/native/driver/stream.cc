#include "stream.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "../common/settings.h"
#include "block.h"
#include "context.h"
#include "runtime.h"

namespace tutti_emulator {
namespace {

unsigned delayOf(unsigned number) {
  const auto everywhere = faults().value("slow");
  const auto here = faults().value("slow-stream-" + std::to_string(number));
  return static_cast<unsigned>(here ? *here : everywhere.value_or(0));
}

}  // namespace

Stream::Stream(Context& context, unsigned number)
    : context_(context), lazy_(setting("STREAMS") == "lazy"), delay_(delayOf(number)) {
  // Signals of the process are for the threads that it made itself.
  sigset_t all, before;
  sigfillset(&all);
  for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGVTALRM}) sigdelset(&all, own);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Stream::~Stream() { close(); }

void Stream::close() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

std::uint64_t Stream::enqueue(Operation operation) {
  if (capture != nullptr) {
    capture->operations.push_back(std::move(operation));
    return 0;
  }
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(operation));
  changed_.notify_all();
  return ++submitted_;
}

std::uint64_t Stream::last() {
  const std::lock_guard lock(mutex_);
  return submitted_;
}

void Stream::demand(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  if (sequence <= demanded_) return;
  demanded_ = sequence;
  changed_.notify_all();
}

void Stream::wait(std::uint64_t sequence) {
  std::unique_lock lock(mutex_);
  demanded_ = std::max(demanded_, sequence);
  if (lazy_) changed_.notify_all();
  changed_.wait(lock, [&] { return completed_ >= sequence; });
}

bool Stream::passed(std::uint64_t sequence) {
  demand(sequence);
  const std::lock_guard lock(mutex_);
  return completed_ >= sequence;
}

Executor& Stream::executor() {
  if (executor_ == nullptr) executor_ = std::make_unique<Executor>();
  return *executor_;
}

void Stream::work() {
  prepareThreadForExceptions();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || (!queue_.empty() && (!lazy_ || completed_ < demanded_)); });
    if (queue_.empty()) return;
    const Operation operation = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    execute(operation);
    lock.lock();
    completed_++;
    changed_.notify_all();
  }
}

void Stream::execute(const Operation& operation) {
  if (delay_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_));
  if (context_.error() != success && !operation.always) return;
  try {
    operation.run(*this);
  } catch (const Failure& failure) {
    context_.fail(failure.code);
  } catch (const std::bad_alloc&) {
    context_.fail(outOfMemory);
  }
}

}  // namespace tutti_emulator
