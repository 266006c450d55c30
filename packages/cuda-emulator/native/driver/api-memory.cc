// Memory of devices, pinned memory of the host, and copies between them.
#include <algorithm>
#include <cstring>

#include "context.h"
#include "memory.h"

using namespace tutti_emulator;

namespace {

struct PoolLocation {
  int type, id;
};

struct PoolProperties {
  int allocation, handles;
  PoolLocation location;
};

enum PoolAttribute : int { releaseThreshold = 4, reservedCurrent = 5, reservedHigh = 6, usedCurrent = 7, usedHigh = 8 };

unsigned char* pointer(Address address) { return reinterpret_cast<unsigned char*>(address); }

/** A range must lie in one allocation when the call is made, and be there when its turn comes. */
void requireRange(Address address, std::size_t bytes) {
  if (Memory::instance().find(address, bytes)) return;
  report("a copy touches " + std::to_string(bytes) + " bytes that are not in one allocation: it begins " +
         Memory::instance().explain(address));
  throw Failure{invalidValue};
}

void requireAccess(Address address, std::size_t bytes) {
  if (Memory::instance().accessible(address, bytes)) return;
  report("a copy comes to memory that is not there at its turn: " + Memory::instance().explain(address));
  throw Failure{illegalAddress};
}

Address allocateFrom(Context& context, const std::shared_ptr<Pool>& pool, std::size_t bytes, Stream* handle) {
  const std::shared_ptr<Stream> stream = context.stream(handle);
  if (stream->capture != nullptr) invalidateCapture(*stream);
  const Address base = context.reserve(bytes);
  pool->take(bytes);
  {
    const std::lock_guard lock(context.sharesMutex);
    context.shares[base] = {pool, bytes};
  }
  stream->enqueue({[base](Stream&) { Memory::instance().open(base); }, false});
  return base;
}

}  // namespace

TUTTI_API cuMemAlloc_v2(Address* address, std::size_t bytes) {
  return guarded([&] {
    forbidInCapture();
    const Address base = current().reserve(bytes);
    Memory::instance().open(base);
    *address = base;
  });
}

TUTTI_API cuMemFree_v2(Address address) {
  return guarded([&] {
    if (address == 0) return;
    Context& context = current();
    forbidInCapture();
    if (!Memory::instance().releasing(address)) throw Failure{invalidValue};
    context.synchronize();
    context.settleShare(address);
    Memory::instance().release(address);
  });
}

TUTTI_API cuMemAllocAsync(Address* address, std::size_t bytes, Stream* stream) {
  return guarded([&] { *address = allocateFrom(current(), current().defaultPool, bytes, stream); });
}

TUTTI_API cuMemAllocFromPoolAsync(Address* address, std::size_t bytes, Pool* pool, Stream* stream) {
  return guarded([&] {
    Context& context = current();
    *address = allocateFrom(context, context.pool(pool), bytes, stream);
  });
}

TUTTI_API cuMemFreeAsync(Address address, Stream* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.stream(handle);
    if (stream->capture != nullptr) invalidateCapture(*stream);
    if (!Memory::instance().releasing(address)) throw Failure{invalidValue};
    stream->enqueue({[&context, address](Stream&) {
                       context.settleShare(address);
                       Memory::instance().release(address);
                     },
                     true});
  });
}

TUTTI_API cuDeviceGetDefaultMemPool(Pool** pool, int device) {
  return guarded([&] {
    if (current().device != deviceAt(device).index) throw Failure{invalidDevice};
    *pool = current().defaultPool.get();
  });
}

TUTTI_API cuMemPoolCreate(Pool** pool, const PoolProperties* properties) {
  return guarded([&] {
    Context& context = current();
    if (properties->allocation != 1 || properties->location.type != 1) throw Failure{invalidValue};
    if (deviceAt(properties->location.id).index != context.device) throw Failure{invalidDevice};
    if (faults().strikes("create")) throw Failure{outOfMemory};
    *pool = context.pools.add(std::make_shared<Pool>());
  });
}

TUTTI_API cuMemPoolDestroy(Pool* pool) {
  return guarded([&] { current().pools.take(pool); });
}

TUTTI_API cuMemPoolSetAttribute(Pool* handle, int attribute, void* value) {
  return guarded([&] {
    const std::shared_ptr<Pool> pool = current().pool(handle);
    const std::lock_guard lock(pool->mutex);
    const std::uint64_t number = *static_cast<std::uint64_t*>(value);
    if (attribute == releaseThreshold)
      pool->releaseThreshold = number;
    else if (attribute == reservedHigh && number == 0)
      pool->reservedHigh = pool->reserved;
    else if (attribute == usedHigh && number == 0)
      pool->usedHigh = pool->used;
    else if (attribute < 1 || attribute > 3)
      throw Failure{invalidValue};
  });
}

TUTTI_API cuMemPoolGetAttribute(Pool* handle, int attribute, void* value) {
  return guarded([&] {
    const std::shared_ptr<Pool> pool = current().pool(handle);
    const std::lock_guard lock(pool->mutex);
    const std::size_t values[] = {pool->releaseThreshold, pool->reserved, pool->reservedHigh, pool->used,
                                  pool->usedHigh};
    if (attribute < releaseThreshold || attribute > usedHigh) throw Failure{invalidValue};
    *static_cast<std::uint64_t*>(value) = values[attribute - releaseThreshold];
  });
}

TUTTI_API cuMemPoolTrimTo(Pool* handle, std::size_t keep) {
  return guarded([&] { current().pool(handle)->trim(keep); });
}

TUTTI_API cuMemGetInfo_v2(std::size_t* freeBytes, std::size_t* total) {
  return guarded([&] {
    Context& context = current();
    std::size_t taken = Memory::instance().usedBytes(context.device);
    std::vector<std::shared_ptr<Pool>> pools = context.pools.all();
    pools.push_back(context.defaultPool);
    for (const auto& pool : pools) {
      const std::lock_guard lock(pool->mutex);
      taken += pool->reserved - pool->used;
    }
    *total = memoryBytes();
    *freeBytes = *total - std::min(*total, taken);
  });
}

TUTTI_API cuMemHostAlloc(void** start, std::size_t bytes, unsigned) {
  return guarded([&] {
    current();
    *start = PinnedMemory::instance().allocate(bytes);
  });
}

TUTTI_API cuMemFreeHost(void* start) {
  return guarded([&] {
    // A device may still read or write it.
    current().synchronize();
    PinnedMemory::instance().release(start);
  });
}

TUTTI_API cuMemcpyHtoDAsync_v2(Address target, const void* source, std::size_t bytes, Stream* handle) {
  return guarded([&] {
    const std::shared_ptr<Stream> stream = current().stream(handle);
    requireRange(target, bytes);
    const auto copy = [target, bytes](const void* from) {
      requireAccess(target, bytes);
      std::memcpy(pointer(target), from, bytes);
    };
    if (stream->capture != nullptr || PinnedMemory::instance().holds(source, bytes)) {
      stream->enqueue({[copy, source](Stream&) { copy(source); }});
      return;
    }
    // Pageable memory is copied before the call returns.
    const auto* const from = static_cast<const unsigned char*>(source);
    auto staged = std::make_shared<std::vector<unsigned char>>(from, from + bytes);
    stream->enqueue({[copy, staged](Stream&) { copy(staged->data()); }});
  });
}

TUTTI_API cuMemcpyDtoHAsync_v2(void* target, Address source, std::size_t bytes, Stream* handle) {
  return guarded([&] {
    Context& context = current();
    const std::shared_ptr<Stream> stream = context.stream(handle);
    requireRange(source, bytes);
    const std::uint64_t sequence = stream->enqueue({[target, source, bytes](Stream&) {
      requireAccess(source, bytes);
      std::memcpy(target, pointer(source), bytes);
    }});
    if (stream->capture != nullptr || PinnedMemory::instance().holds(target, bytes)) return;
    stream->wait(sequence);
    if (context.error() != success) throw Failure{context.error()};
  });
}

TUTTI_API cuMemcpyDtoDAsync_v2(Address target, Address source, std::size_t bytes, Stream* stream) {
  return guarded([&] {
    Context& context = current();
    requireRange(target, bytes);
    requireRange(source, bytes);
    context.stream(stream)->enqueue({[target, source, bytes](Stream&) {
      requireAccess(target, bytes);
      requireAccess(source, bytes);
      std::memmove(pointer(target), pointer(source), bytes);
    }});
  });
}

TUTTI_API cuMemcpyPeerAsync(Address target, Context* to, Address source, Context* from, std::size_t bytes, Stream* stream) {
  if (to == nullptr || from == nullptr) return invalidContext;
  return cuMemcpyDtoDAsync_v2(target, source, bytes, stream);
}

TUTTI_API cuMemsetD32Async(Address target, unsigned value, std::size_t count, Stream* stream) {
  return guarded([&] {
    Context& context = current();
    if (target % 4 != 0) throw Failure{invalidValue};
    requireRange(target, 4 * count);
    context.stream(stream)->enqueue({[target, value, count](Stream&) {
      requireAccess(target, 4 * count);
      fillWords(pointer(target), 4 * count, value);
    }});
  });
}

/** For libraries that compute in the order of a stream: not 0 where the bytes can be touched now. */
TUTTI_API tuttiEmulatorAccessible(Address address, std::size_t bytes) {
  return Memory::instance().accessible(address, bytes) ? 1 : 0;
}
