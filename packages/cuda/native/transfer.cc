#include "transfer.h"

#include <algorithm>
#include <cstring>

namespace tutti {
namespace {

// Of a read that waits: long enough for the full speed of the bus, short enough for copying to overlap with it.
constexpr std::size_t readPiece = 4 << 20;

}  // namespace

Transfer::Transfer(const Context& context, EventPool& events, DeviceMemory& memory, PinnedMemory& pinned, CUstream work,
                   std::size_t stagingBytes)
    : context_(context),
      events_(events),
      memory_(memory),
      pinned_(pinned),
      work_(work),
      copies_(context),
      ring_(context, events, pinned, stagingBytes),
      uploaded_(events.take()) {}

void Transfer::write(CUdeviceptr target, const unsigned char* data, std::size_t bytes, bool idle) {
  if (bytes == 0) return;
  memory_.requireRange(target, bytes, "write");
  if (idle) {
    memory_.orderAfterAllocation(target, copies_.handle());
    uploadsAhead_ = true;
    upload(target, data, bytes, copies_.handle());
    ++overlappedWrites_;
  } else {
    joinUploads();
    upload(target, data, bytes, work_);
    // An event behind the work that comes later would keep the segment busy for as long.
    ring_.seal();
    ++orderedWrites_;
  }
}

void Transfer::upload(CUdeviceptr target, const unsigned char* data, std::size_t bytes, CUstream stream) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t piece = std::min(bytes - done, ring_.largestPiece());
    unsigned char* staged = ring_.reserve(piece);
    std::memcpy(staged, data + done, piece);
    TUTTI_CALL(context_, cuMemcpyHtoDAsync_v2, target + done, staged, piece, stream);
    ring_.commit(piece, stream);
    done += piece;
  }
}

void Transfer::joinUploads() {
  if (!uploadsAhead_) return;
  TUTTI_CALL(context_, cuEventRecord, uploaded_.handle(), copies_.handle());
  TUTTI_CALL(context_, cuStreamWaitEvent, work_, uploaded_.handle(), 0);
  uploadsAhead_ = false;
}

PinnedBlock Transfer::startRead(CUdeviceptr source, std::size_t bytes) {
  if (bytes == 0) return PinnedBlock();
  joinUploads();
  PinnedBlock block = pinned_.take(bytes);
  TUTTI_CALL(context_, cuMemcpyDtoHAsync_v2, block.data(), source, bytes, work_);
  return block;
}

void Transfer::readNow(CUdeviceptr source, unsigned char* target, std::size_t bytes) {
  if (bytes == 0) return synchronize();
  joinUploads();
  if (bytes <= readPiece) {
    const PinnedBlock block = startRead(source, bytes);
    // May spin, where waiting for one of our events sleeps: the caller has nothing else to do, and the sooner it goes on the better.
    TUTTI_CALL(context_, cuStreamSynchronize, work_);
    std::memcpy(target, block.data(), bytes);
    return;
  }
  // Two blocks in turn: while the device fills one, the other is copied out.
  PinnedBlock blocks[2];
  Event filled[2];
  std::size_t started = 0;
  std::size_t sizes[2] = {0, 0};
  const auto start = [&](int turn) {
    sizes[turn] = std::min(bytes - started, readPiece);
    if (sizes[turn] == 0) return;
    if (!blocks[turn].data()) blocks[turn] = pinned_.take(sizes[turn]);
    TUTTI_CALL(context_, cuMemcpyDtoHAsync_v2, blocks[turn].data(), source + started, sizes[turn], work_);
    filled[turn] = events_.record(work_);
    started += sizes[turn];
  };
  start(0);
  start(1);
  for (std::size_t done = 0, turn = 0; done < bytes; turn ^= 1) {
    TUTTI_CALL(context_, cuEventSynchronize, filled[turn].handle());
    std::memcpy(target + done, blocks[turn].data(), sizes[turn]);
    done += sizes[turn];
    start(turn);
  }
}

void Transfer::synchronize() {
  TUTTI_CALL(context_, cuStreamSynchronize, copies_.handle());
  TUTTI_CALL(context_, cuStreamSynchronize, work_);
}

}  // namespace tutti
