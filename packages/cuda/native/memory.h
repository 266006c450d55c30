// Device memory. Where the device has memory pools, allocating and freeing are work on a stream and wait for nothing.
#pragma once

#include <cstdint>
#include <map>

#include "context.h"
#include "events.h"

namespace tutti {

class DeviceMemory {
 public:
  // Allocates and frees in the order of a stream.
  DeviceMemory(const Context& context, EventPool& events, CUstream stream);
  // Frees what is still there; the stream has nothing left to do.
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // Throws CUDA_ERROR_OUT_OF_MEMORY.
  CUdeviceptr allocate(std::size_t bytes);
  // Once everything on the stream so far has run.
  void free(CUdeviceptr address);
  // Gives memory that is kept for reuse back to the system. The stream has nothing left to do.
  void trim();

  // Throws INVALID_ARGUMENT unless all of a range lies within one live allocation: nothing may be written or read beside one.
  void requireRange(CUdeviceptr address, std::uint64_t bytes, const char* call) const;
  // Makes another stream wait until memory is allocated in the order of its own stream, where that is not known to be so.
  void orderAfterAllocation(CUdeviceptr address, CUstream other);

  std::size_t count() const { return live_.size(); }
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Allocation {
    std::size_t bytes;
    // Counts allocations, so that one that the stream has not come to yet is known.
    std::uint64_t sequence;
  };
  using Live = std::map<CUdeviceptr, Allocation>;

  CUmemoryPool createPool() const;
  // The allocation that holds an address, or the end.
  Live::const_iterator holder(CUdeviceptr address) const;

  const Context& context_;
  CUstream stream_;
  CUmemoryPool pool_ = nullptr;
  Live live_;
  std::uint64_t bytes_ = 0;

  // The newest allocation, that up to which the stream is known to have come, and the event behind the newest one.
  std::uint64_t newest_ = 0;
  std::uint64_t reached_ = 0;
  Event allocated_;
};

}  // namespace tutti
