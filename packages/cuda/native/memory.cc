#include "memory.h"

#include <limits>
#include <string>

namespace tutti {

DeviceMemory::DeviceMemory(const Context& context, EventPool& events, CUstream stream)
    : context_(context), stream_(stream), allocated_(events.take()) {
  if (context.attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)) pool_ = createPool();
}

DeviceMemory::~DeviceMemory() {
  if (context_.failed()) return;
  const DriverApi& driver = context_.api();
  for (const auto& [address, allocation] : live_) {
    if (pool_) {
      driver.cuMemFreeAsync(address, stream_);
    } else {
      driver.cuMemFree_v2(address);
    }
  }
  if (!pool_) return;
  driver.cuStreamSynchronize(stream_);
  driver.cuMemPoolDestroy(pool_);
}

// A pool of our own, not the device's default: what others in the process set there is theirs, and destroying ours gives back exactly
// what this device took.
CUmemoryPool DeviceMemory::createPool() const {
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.handleTypes = CU_MEM_HANDLE_TYPE_NONE;
  properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, context_.device()};
  CUmemoryPool pool = nullptr;
  TUTTI_CALL(context_, cuMemPoolCreate, &pool, &properties);
  // By default every synchronisation gives free memory back to the system, only for it to be taken again.
  std::uint64_t keepAll = std::numeric_limits<std::uint64_t>::max();
  const CUresult status =
      context_.api().cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keepAll);
  if (status != CUDA_SUCCESS) context_.api().cuMemPoolDestroy(pool);
  context_.check(status, "cuMemPoolSetAttribute");
  return pool;
}

CUdeviceptr DeviceMemory::allocate(std::size_t bytes) {
  CUdeviceptr address = 0;
  if (pool_) {
    TUTTI_CALL(context_, cuMemAllocFromPoolAsync, &address, bytes, pool_, stream_);
  } else {
    TUTTI_CALL(context_, cuMemAlloc_v2, &address, bytes);
  }
  live_[address] = {bytes, ++newest_};
  bytes_ += bytes;
  if (pool_) {
    TUTTI_CALL(context_, cuEventRecord, allocated_.handle(), stream_);
  } else {
    reached_ = newest_;
  }
  return address;
}

void DeviceMemory::free(CUdeviceptr address) {
  const auto found = live_.find(address);
  if (found == live_.end()) {
    throw invalidArgument("free", "no allocation begins at address " + std::to_string(address));
  }
  if (pool_) {
    TUTTI_CALL(context_, cuMemFreeAsync, address, stream_);
  } else {
    TUTTI_CALL(context_, cuStreamSynchronize, stream_);
    TUTTI_CALL(context_, cuMemFree_v2, address);
  }
  bytes_ -= found->second.bytes;
  live_.erase(found);
}

void DeviceMemory::trim() {
  if (pool_) TUTTI_CALL(context_, cuMemPoolTrimTo, pool_, 0);
}

void DeviceMemory::requireRange(CUdeviceptr address, std::uint64_t bytes, const char* call) const {
  const auto found = holder(address);
  if (found != live_.end()) {
    const std::uint64_t offset = address - found->first;
    if (bytes <= found->second.bytes - offset) return;
  }
  throw invalidArgument(call, std::to_string(bytes) + " bytes at address " + std::to_string(address) +
                                  " are not within one allocation");
}

void DeviceMemory::orderAfterAllocation(CUdeviceptr address, CUstream other) {
  const auto found = holder(address);
  if (found == live_.end() || found->second.sequence <= reached_) return;
  if (hasPassed(context_, allocated_)) {
    reached_ = newest_;
  } else {
    TUTTI_CALL(context_, cuStreamWaitEvent, other, allocated_.handle(), 0);
  }
}

DeviceMemory::Live::const_iterator DeviceMemory::holder(CUdeviceptr address) const {
  auto after = live_.upper_bound(address);
  if (after == live_.begin()) return live_.end();
  --after;
  return address - after->first < after->second.bytes ? after : live_.end();
}

}  // namespace tutti
