// A device with everything that is open on it. For one thread, which may be any but always the same.
#pragma once

#include <cstdint>
#include <optional>

#include "commands.h"
#include "context.h"
#include "events.h"
#include "graphs.h"
#include "memory.h"
#include "modules.h"
#include "pinned.h"
#include "products.h"
#include "stream.h"
#include "transfer.h"
#include "waiter.h"

namespace tutti {

// A task that is given the data of a read: pinned memory, filled once the task runs.
class ReadTask : public Task {
 public:
  PinnedBlock block;
};

// A task that is given the milliseconds between the marks.
class TimeTask : public Task {
 public:
  std::vector<double> milliseconds;

 protected:
  void run() override;

 private:
  friend class Device;
  const Context* context_ = nullptr;
  std::vector<Event> marks_;
};

class Device {
 public:
  // Without a library for products, `blas` is null.
  Device(std::shared_ptr<const DriverApi> driver, int index, std::size_t stagingBytes,
         std::shared_ptr<const BlasApi> blas, TaskSink done);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // At the start of every use: throws what the device failed with, and makes it current on this thread.
  void enter();
  std::optional<NativeError> failure() const { return context_.failure(); }

  CUdeviceptr allocate(std::size_t bytes);
  void free(CUdeviceptr address);
  void trim();
  struct MemoryInfo {
    std::size_t free;
    std::size_t total;
  };
  MemoryInfo memoryInfo() const;

  ModuleTable& modules() { return modules_; }
  ProductTable& products() { return products_; }

  void submit(const std::uint32_t* words, std::size_t length);
  std::uint32_t capture(const std::uint32_t* words, std::size_t length);
  void launchGraph(std::uint32_t graph);
  void releaseGraph(std::uint32_t graph);
  void time(const std::uint32_t* words, std::size_t length, std::unique_ptr<TimeTask> task);

  // Throws INVALID_ARGUMENT unless the bytes lie within one allocation.
  void requireReadable(CUdeviceptr source, std::uint64_t bytes, const char* call) const;
  void write(CUdeviceptr target, const unsigned char* data, std::size_t bytes, bool idle);
  void read(CUdeviceptr source, std::size_t bytes, std::unique_ptr<ReadTask> task);
  void readNow(CUdeviceptr source, unsigned char* target, std::size_t bytes);
  // Copies from another device, which is open on the same thread, behind the work so far of both. What it is given next, a release of the
  // source included, comes behind the copy. Leaves this device current.
  void copyFrom(Device& other, CUdeviceptr target, CUdeviceptr source, std::size_t bytes);
  // Runs the task once everything so far has run.
  void whenPassed(std::unique_ptr<Task> task);

  struct Statistics {
    std::uint64_t allocations;
    std::uint64_t bytes;
    std::uint64_t pinnedBytes;
    std::uint64_t modules;
    std::uint64_t graphs;
    std::uint64_t products;
    std::uint64_t overlappedWrites;
    std::uint64_t orderedWrites;
  };
  Statistics statistics() const;

  // Waits for the device and ends the waiting thread. Gives the tasks that nobody will run; nothing but the destructor may follow.
  std::deque<std::unique_ptr<Task>> stop();

 private:
  // In the order of their making; released in the reverse order.
  Context context_;
  EventPool events_;
  EventPool timers_;
  // Of the order in which everything happens.
  Stream work_;
  PinnedMemory pinned_;
  DeviceMemory memory_;
  Transfer transfer_;
  ModuleTable modules_;
  ProductTable products_;
  GraphTable graphs_;
  CommandReader reader_;
  Waiter waiter_;
};

}  // namespace tutti
