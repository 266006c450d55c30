// Devices, their primary contexts, and the handles that the driver has given out.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "../common/settings.h"
#include "cuda.h"
#include "module.h"
#include "stream.h"

namespace tutti_emulator {

/** Handles are addresses of what they stand for; one that is not known, or no more, is an error and no crash. */
template <class T>
class Registry {
 public:
  T* add(std::shared_ptr<T> object) {
    const std::lock_guard lock(mutex_);
    T* const handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  std::shared_ptr<T> get(T* handle) {
    if (std::shared_ptr<T> object = find(handle)) return object;
    throw Failure{invalidHandle};
  }
  /** Or null. */
  std::shared_ptr<T> find(T* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<T> take(T* handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) throw Failure{invalidHandle};
    const std::shared_ptr<T> object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  std::vector<std::shared_ptr<T>> all() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<T>> list;
    for (const auto& [handle, object] : objects_) list.push_back(object);
    return list;
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }
  void clear() {
    std::unordered_map<T*, std::shared_ptr<T>> dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(objects_);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<T*, std::shared_ptr<T>> objects_;
};

struct Pool {
  std::size_t releaseThreshold = 0;
  std::size_t used = 0, usedHigh = 0, reserved = 0, reservedHigh = 0;
  std::mutex mutex;

  void take(std::size_t bytes);
  void giveBack(std::size_t bytes);
  void trim(std::size_t keep);
};

/** What the addresses of an allocation from a pool belong to, until they are released. */
struct PoolShare {
  std::shared_ptr<Pool> pool;
  std::size_t bytes;
};

/** The primary context of a device. */
class Context {
 public:
  explicit Context(int device);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const int device;
  Registry<Stream> streams;
  Registry<Event> events;
  Registry<LoadedModule> modules;
  Registry<Function> functions;
  Registry<Graph> graphs;
  Registry<Graph> executables;
  Registry<Pool> pools;
  std::shared_ptr<Pool> defaultPool = std::make_shared<Pool>();

  /** An error that the device does not recover from. */
  Result error() const { return error_.load(); }
  void fail(Result code);

  std::shared_ptr<Stream> stream(Stream* handle);
  std::shared_ptr<Stream> makeStream();
  std::shared_ptr<Pool> pool(Pool* handle);
  void synchronize();
  /** Memory for `bytes` more, once releases that are under way have passed if there is not enough. @throws Failure */
  Address reserve(std::size_t bytes);

  std::mutex sharesMutex;
  std::unordered_map<Address, PoolShare> shares;
  /** Removes what belongs to an allocation from a pool. */
  void settleShare(Address address);

 private:
  void reportLeaks();
  std::atomic<Result> error_{success};
  std::atomic<unsigned> streamCount_{0};
  std::shared_ptr<Stream> defaultStream_;
};

struct Device {
  int index;
  std::mutex mutex;
  unsigned retained = 0;
  std::unique_ptr<Context> context;
};

/** @throws Failure */
Device& deviceAt(int index);
int deviceCount();
int computeCapability();
std::size_t memoryBytes();

void setCurrent(Context* context);
Context* currentOrNone();
/** The context of this thread. @throws Failure where there is none, or it has failed. */
Context& current();
void initialize();

/** What a stream that is captured does not allow: spoils the capture. @throws Failure */
[[noreturn]] void invalidateCapture(Stream& stream);
/** The same for calls that name no stream, where this thread captures. */
void forbidInCapture();
/** Shared memory that a block may have, with the opt-in of a function. */
std::size_t maxSharedBytes();

/** Memory of the host that devices read and write by themselves. */
class PinnedMemory {
 public:
  static PinnedMemory& instance();
  void* allocate(std::size_t bytes);
  void release(void* start);
  bool holds(const void* start, std::size_t bytes);
  std::size_t count();

 private:
  std::mutex mutex_;
  std::map<std::uintptr_t, std::size_t> live_;
};

/** Runs a function of the interface: what is thrown is its result. */
template <class F>
int guarded(F function) {
  try {
    function();
    return success;
  } catch (const Failure& failure) {
    return failure.code;
  } catch (const std::bad_alloc&) {
    return outOfMemory;
  }
}

}  // namespace tutti_emulator

#define TUTTI_API extern "C" __attribute__((visibility("default"))) int
