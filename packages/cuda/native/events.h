// Events, kept for reuse: making one costs more than recording it.
#pragma once

#include <mutex>
#include <vector>

#include "context.h"

namespace tutti {

class EventPool;

// An event on loan from a pool.
class Event {
 public:
  Event() = default;
  Event(EventPool& pool, CUevent handle) : pool_(&pool), handle_(handle) {}
  Event(Event&& other) noexcept : pool_(other.pool_), handle_(other.handle_) { other.handle_ = nullptr; }
  Event& operator=(Event&& other) noexcept;
  ~Event();

  CUevent handle() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  EventPool* pool_ = nullptr;
  CUevent handle_ = nullptr;
};

// May be used by several threads. Outlives its events.
class EventPool {
 public:
  // Whoever waits sleeps (`CU_EVENT_BLOCKING_SYNC`): a spinning thread would take a processor from the program.
  enum class Kind : unsigned {
    order = CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC,
    time = CU_EVENT_BLOCKING_SYNC,
  };

  EventPool(const Context& context, Kind kind) : context_(context), kind_(kind) {}
  ~EventPool();
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;

  Event take();
  Event record(CUstream stream);

 private:
  friend class Event;
  void give(CUevent handle);

  const Context& context_;
  const Kind kind_;
  std::mutex mutex_;
  std::vector<CUevent> free_;
};

// Whether everything before an event has run.
bool hasPassed(const Context& context, const Event& event);

}  // namespace tutti
