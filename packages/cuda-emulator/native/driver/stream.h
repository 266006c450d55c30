// Streams: each has a thread and a queue, as work on a device has an order of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda.h"

namespace tutti_emulator {

class Context;
class Executor;
class Stream;

struct Operation {
  std::function<void(Stream&)> run;
  /** Also after an error that the device does not recover from: whoever waits must not wait forever. */
  bool always = false;
};

/** What a stream that is captured is given, instead of running it. */
struct Capture {
  std::vector<Operation> operations;
  Stream* origin;
  bool threadLocal;
  std::thread::id thread;
  bool invalidated = false;
};

struct Graph {
  std::vector<Operation> operations;
};

class Stream {
 public:
  Stream(Context& context, unsigned number);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /** Runs what is left and ends the thread. */
  void close();
  /** Puts an operation at the end of the queue, or into what is captured. The number that it has in the queue. */
  std::uint64_t enqueue(Operation operation);
  std::uint64_t last();
  /** Somebody wants everything up to this operation: a lazy stream runs no more than that. */
  void demand(std::uint64_t sequence);
  void wait(std::uint64_t sequence);
  bool passed(std::uint64_t sequence);

  Context& context() const { return context_; }
  Executor& executor();
  std::shared_ptr<Capture> capture;

 private:
  void work();
  void execute(const Operation& operation);

  Context& context_;
  const bool lazy_;
  /** Milliseconds before each operation, by a fault. */
  unsigned delay_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Operation> queue_;
  std::uint64_t submitted_ = 0, completed_ = 0, demanded_ = 0;
  bool ending_ = false;
  std::unique_ptr<Executor> executor_;
  std::thread thread_;
};

/** One recording of an event. */
struct Record {
  std::shared_ptr<Stream> stream;
  std::uint64_t sequence = 0;
  double milliseconds = 0;
};

struct Event {
  bool timing;
  std::shared_ptr<Record> record;
  std::shared_ptr<Capture> capture;
};

}  // namespace tutti_emulator
