#include "context.h"

#include <algorithm>
#include <cstdlib>

#include "memory.h"
#include "runtime.h"

namespace tutti_emulator {
namespace {

std::atomic<bool> initialized{false};
thread_local Context* currentContext = nullptr;

std::vector<std::unique_ptr<Device>>& devices() {
  // Never destroyed: a thread of a stream may still run when the process ends.
  static auto* const list = new std::vector<std::unique_ptr<Device>>();
  return *list;
}

struct Live {
  std::mutex mutex;
  std::set<Context*> contexts;
};

Live& live() {
  static Live* const instance = new Live();
  return *instance;
}

}  // namespace

void initialize() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  faults().refresh();
  if (const auto code = faults().value("init")) throw Failure{static_cast<Result>(*code)};
  if (faults().value("no-device") || numberSetting("DEVICES", 1) == 0) throw Failure{noDevice};
  if (initialized) return;
  for (int i = 0; i < static_cast<int>(numberSetting("DEVICES", 1)); i++) {
    devices().push_back(std::make_unique<Device>());
    devices().back()->index = i;
  }
  catchProcessorExceptions();
  initialized = true;
}

Device& deviceAt(int index) {
  if (!initialized) throw Failure{notInitialized};
  if (index < 0 || index >= deviceCount()) throw Failure{invalidDevice};
  return *devices()[static_cast<std::size_t>(index)];
}

int deviceCount() { return static_cast<int>(devices().size()); }
int computeCapability() { return static_cast<int>(numberSetting("CAPABILITY", 90)); }
std::size_t memoryBytes() { return numberSetting("MEMORY", std::size_t{4} << 30); }

void setCurrent(Context* context) { currentContext = context; }
Context* currentOrNone() { return currentContext; }

Context& current() {
  if (!initialized) throw Failure{notInitialized};
  {
    const std::lock_guard lock(live().mutex);
    if (live().contexts.count(currentContext) == 0) throw Failure{invalidContext};
  }
  if (currentContext->error() != success) throw Failure{currentContext->error()};
  return *currentContext;
}

void Pool::take(std::size_t bytes) {
  const std::lock_guard lock(mutex);
  used += bytes;
  usedHigh = std::max(usedHigh, used);
  reserved = std::max(reserved, used);
  reservedHigh = std::max(reservedHigh, reserved);
}

void Pool::giveBack(std::size_t bytes) {
  const std::lock_guard lock(mutex);
  used -= bytes;
  reserved = std::max(used, std::min(reserved, releaseThreshold));
}

void Pool::trim(std::size_t keep) {
  const std::lock_guard lock(mutex);
  reserved = std::max(used, std::min(reserved, keep));
}

Context::Context(int index) : device(index) {
  faults().refresh();
  defaultStream_ = makeStream();
  const std::lock_guard lock(live().mutex);
  live().contexts.insert(this);
}

Context::~Context() {
  // In lazy mode nobody has asked for what is left.
  try {
    synchronize();
  } catch (const Failure&) {
  }
  {
    const std::lock_guard lock(live().mutex);
    live().contexts.erase(this);
  }
  reportLeaks();
  // Operations hold events, and events their streams: a stream must not end in its own thread.
  for (const auto& stream : streams.all()) stream->close();
  defaultStream_->close();
  Memory::instance().releaseAll(device);
}

void Context::reportLeaks() {
  if (setting("LEAKS") != "report") return;
  const auto line = [](const char* what, std::size_t count) {
    if (count > 0) report("left behind: " + std::to_string(count) + " " + what);
  };
  line("allocations", Memory::instance().count(device));
  line("allocations of pinned memory", PinnedMemory::instance().count());
  line("streams", streams.size());
  line("events", events.size());
  line("modules", modules.size());
  line("graphs", graphs.size() + executables.size());
  line("memory pools", pools.size());
}

void Context::fail(Result code) {
  Result none = success;
  error_.compare_exchange_strong(none, code);
}

std::shared_ptr<Stream> Context::makeStream() { return std::make_shared<Stream>(*this, streamCount_++); }

std::shared_ptr<Stream> Context::stream(Stream* handle) {
  // 1 and 2 name the default stream in its two fashions.
  return reinterpret_cast<std::uintptr_t>(handle) <= 2 ? defaultStream_ : streams.get(handle);
}

std::shared_ptr<Pool> Context::pool(Pool* handle) {
  return handle == defaultPool.get() ? defaultPool : pools.get(handle);
}

void Context::synchronize() {
  std::vector<std::shared_ptr<Stream>> list = streams.all();
  list.push_back(defaultStream_);
  for (const auto& stream : list) stream->wait(stream->last());
  if (error() != success) throw Failure{error()};
}

Address Context::reserve(std::size_t bytes) {
  if (bytes == 0) throw Failure{invalidValue};
  if (faults().strikes("allocate")) throw Failure{outOfMemory};
  Memory& memory = Memory::instance();
  const auto fits = [&] { return bytes <= memoryBytes() && memory.usedBytes(device) <= memoryBytes() - bytes; };
  if (!fits()) synchronize();
  const Address base = fits() ? memory.reserve(bytes, device) : 0;
  if (base == 0) throw Failure{outOfMemory};
  return base;
}

void Context::settleShare(Address address) {
  const std::lock_guard lock(sharesMutex);
  const auto found = shares.find(address);
  if (found == shares.end()) return;
  found->second.pool->giveBack(found->second.bytes);
  shares.erase(found);
}

PinnedMemory& PinnedMemory::instance() {
  static PinnedMemory* const memory = new PinnedMemory();
  return *memory;
}

void* PinnedMemory::allocate(std::size_t bytes) {
  if (bytes == 0) throw Failure{invalidValue};
  if (faults().strikes("pinned")) throw Failure{outOfMemory};
  void* start = nullptr;
  if (posix_memalign(&start, 4096, bytes) != 0) throw Failure{outOfMemory};
  fillWords(start, bytes, freshBits);
  const std::lock_guard lock(mutex_);
  live_[reinterpret_cast<std::uintptr_t>(start)] = bytes;
  return start;
}

void PinnedMemory::release(void* start) {
  {
    const std::lock_guard lock(mutex_);
    if (live_.erase(reinterpret_cast<std::uintptr_t>(start)) == 0) throw Failure{invalidValue};
  }
  std::free(start);
}

bool PinnedMemory::holds(const void* start, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto at = reinterpret_cast<std::uintptr_t>(start);
  auto after = live_.upper_bound(at);
  if (after == live_.begin()) return false;
  --after;
  return at + bytes <= after->first + after->second;
}

std::size_t PinnedMemory::count() {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

}  // namespace tutti_emulator
