#include "device.h"

namespace tutti {

namespace {

// For the first member that needs the context to be current.
const Context& madeCurrent(const Context& context) {
  context.makeCurrent();
  return context;
}

}  // namespace

void TimeTask::run() {
  for (std::size_t next = 1; next < marks_.size(); next++) {
    float elapsed = 0;
    TUTTI_CALL(*context_, cuEventElapsedTime, &elapsed, marks_[next - 1].handle(), marks_[next].handle());
    milliseconds.push_back(elapsed);
  }
}

Device::Device(std::shared_ptr<const DriverApi> driver, int index, std::size_t stagingBytes,
               std::shared_ptr<const BlasApi> blas, TaskSink done)
    : context_(std::move(driver), index),
      events_(context_, EventPool::Kind::order),
      timers_(context_, EventPool::Kind::time),
      work_(madeCurrent(context_)),
      pinned_(context_),
      memory_(context_, events_, work_.handle()),
      transfer_(context_, events_, memory_, pinned_, work_.handle(), stagingBytes),
      modules_(context_, events_, work_.handle()),
      products_(context_, std::move(blas)),
      graphs_(context_),
      reader_(context_, memory_, modules_, products_),
      waiter_(context_, std::move(done)) {}

Device::~Device() { stop(); }

void Device::enter() {
  context_.requireUsable();
  context_.makeCurrent();
}

CUdeviceptr Device::allocate(std::size_t bytes) { return memory_.allocate(bytes); }

void Device::free(CUdeviceptr address) {
  // An upload may still be on its way there.
  transfer_.joinUploads();
  memory_.free(address);
}

void Device::trim() {
  transfer_.synchronize();
  memory_.trim();
}

Device::MemoryInfo Device::memoryInfo() const {
  MemoryInfo info{};
  TUTTI_CALL(context_, cuMemGetInfo_v2, &info.free, &info.total);
  return info;
}

void Device::submit(const std::uint32_t* words, std::size_t length) {
  reader_.check(words, length, false);
  transfer_.joinUploads();
  reader_.run(words, length, work_.handle(), nullptr);
}

std::uint32_t Device::capture(const std::uint32_t* words, std::size_t length) {
  reader_.check(words, length, false);
  return graphs_.capture(reader_, words, length);
}

void Device::launchGraph(std::uint32_t graph) {
  transfer_.joinUploads();
  graphs_.launch(graph, work_.handle());
}

void Device::releaseGraph(std::uint32_t graph) { modules_.retire(graphs_.release(graph)); }

void Device::time(const std::uint32_t* words, std::size_t length, std::unique_ptr<TimeTask> task) {
  reader_.check(words, length, true);
  transfer_.joinUploads();
  CommandReader::Marks marks{timers_, {}};
  reader_.run(words, length, work_.handle(), &marks);
  task->context_ = &context_;
  task->marks_ = std::move(marks.events);
  waiter_.add(events_.record(work_.handle()), std::move(task));
}

void Device::requireReadable(CUdeviceptr source, std::uint64_t bytes, const char* call) const {
  if (bytes > 0) memory_.requireRange(source, bytes, call);
}

void Device::write(CUdeviceptr target, const unsigned char* data, std::size_t bytes, bool idle) {
  transfer_.write(target, data, bytes, idle);
}

void Device::read(CUdeviceptr source, std::size_t bytes, std::unique_ptr<ReadTask> task) {
  task->block = transfer_.startRead(source, bytes);
  waiter_.add(events_.record(work_.handle()), std::move(task));
}

void Device::readNow(CUdeviceptr source, unsigned char* target, std::size_t bytes) {
  transfer_.readNow(source, target, bytes);
}

void Device::copyFrom(Device& other, CUdeviceptr target, CUdeviceptr source, std::size_t bytes) {
  requireReadable(target, bytes, "copyFrom");
  other.requireReadable(source, bytes, "copyFrom");
  if (bytes == 0) return;
  other.enter();
  other.transfer_.joinUploads();
  const Event written = other.events_.record(other.work_.handle());
  enter();
  transfer_.joinUploads();
  TUTTI_CALL(context_, cuStreamWaitEvent, work_.handle(), written.handle(), 0);
  // The driver goes the shortest way that the two devices have: a link, the bus, or pieces through the host.
  TUTTI_CALL(context_, cuMemcpyPeerAsync, target, context_.handle(), source, other.context_.handle(), bytes, work_.handle());
  const Event copied = events_.record(work_.handle());
  other.enter();
  TUTTI_CALL(other.context_, cuStreamWaitEvent, other.work_.handle(), copied.handle(), 0);
  enter();
}

void Device::whenPassed(std::unique_ptr<Task> task) {
  transfer_.joinUploads();
  waiter_.add(events_.record(work_.handle()), std::move(task));
}

Device::Statistics Device::statistics() const {
  return {memory_.count(),   memory_.bytes(),   pinned_.totalBytes(),         modules_.count(),
          graphs_.count(),   products_.count(), transfer_.overlappedWrites(), transfer_.orderedWrites()};
}

std::deque<std::unique_ptr<Task>> Device::stop() {
  try {
    if (!context_.failed()) {
      context_.makeCurrent();
      transfer_.synchronize();
    }
  } catch (const NativeError&) {
    // Remembered by the context where the driver does not recover; releasing goes on either way.
  }
  return waiter_.stop();
}

}  // namespace tutti
