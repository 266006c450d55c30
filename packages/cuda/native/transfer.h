// Bytes between host and device, on two streams: one for work, and one for uploads that need not wait for it. Whatever is given to the
// stream of work must first be ordered behind the uploads of the other.
#pragma once

#include "memory.h"
#include "staging.h"
#include "stream.h"

namespace tutti {

class Transfer {
 public:
  Transfer(const Context& context, EventPool& events, DeviceMemory& memory, PinnedMemory& pinned, CUstream work,
           std::size_t stagingBytes);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // `idle`: nothing given to the stream of work so far touches the target.
  void write(CUdeviceptr target, const unsigned char* data, std::size_t bytes, bool idle);
  // What the stream of work is given next sees every upload.
  void joinUploads();
  // Puts a copy to pinned memory behind the work so far.
  PinnedBlock startRead(CUdeviceptr source, std::size_t bytes);
  // Waits.
  void readNow(CUdeviceptr source, unsigned char* target, std::size_t bytes);
  // Waits for everything on both streams.
  void synchronize();

  std::uint64_t overlappedWrites() const { return overlappedWrites_; }
  std::uint64_t orderedWrites() const { return orderedWrites_; }

 private:
  void upload(CUdeviceptr target, const unsigned char* data, std::size_t bytes, CUstream stream);

  const Context& context_;
  EventPool& events_;
  DeviceMemory& memory_;
  PinnedMemory& pinned_;
  CUstream work_;
  Stream copies_;
  StagingRing ring_;
  Event uploaded_;
  bool uploadsAhead_ = false;
  std::uint64_t overlappedWrites_ = 0;
  std::uint64_t orderedWrites_ = 0;
};

}  // namespace tutti
