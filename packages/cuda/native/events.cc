#include "events.h"

#include <utility>

namespace tutti {

Event& Event::operator=(Event&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(handle_, other.handle_);
  return *this;
}

Event::~Event() {
  if (handle_) pool_->give(handle_);
}

EventPool::~EventPool() {
  if (context_.failed()) return;
  for (CUevent each : free_) context_.api().cuEventDestroy_v2(each);
}

Event EventPool::take() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      CUevent handle = free_.back();
      free_.pop_back();
      return Event(*this, handle);
    }
  }
  CUevent handle = nullptr;
  TUTTI_CALL(context_, cuEventCreate, &handle, static_cast<unsigned>(kind_));
  return Event(*this, handle);
}

Event EventPool::record(CUstream stream) {
  Event event = take();
  TUTTI_CALL(context_, cuEventRecord, event.handle(), stream);
  return event;
}

void EventPool::give(CUevent handle) {
  std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(handle);
}

bool hasPassed(const Context& context, const Event& event) {
  const CUresult status = context.api().cuEventQuery(event.handle());
  if (status == CUDA_ERROR_NOT_READY) return false;
  context.check(status, "cuEventQuery");
  return true;
}

}  // namespace tutti
