// The way of uploads: a ring of pinned memory. Bytes are copied in, the device copies them out, and a segment is used again once an event
// says that it was.
#pragma once

#include <deque>

#include "events.h"
#include "pinned.h"

namespace tutti {

class StagingRing {
 public:
  StagingRing(const Context& context, EventPool& events, PinnedMemory& pinned, std::size_t bytes);

  // The largest piece that `reserve` takes. A quarter of the ring: while one piece is on its way, the next is filled.
  std::size_t largestPiece() const { return capacity_ / 4; }
  // Room for one piece, at the same place until `commit`. Waits for the device where the ring is full.
  unsigned char* reserve(std::size_t bytes);
  // The copy out of what was reserved is on a stream.
  void commit(std::size_t bytes, CUstream stream);
  // The segment grows no further. What its stream is given from here on does not delay its reuse.
  void seal();

 private:
  struct Segment {
    std::uint64_t end;
    CUstream stream;
    // Absent while the segment still grows: an event for each small upload would cost more than the upload.
    Event copied;
  };

  void retireOldest();
  std::uint64_t startFor(std::size_t bytes) const;

  const Context& context_;
  EventPool& events_;
  PinnedBlock block_;
  std::size_t capacity_;
  // Positions count on for ever; the place in the ring is the rest by its size.
  std::uint64_t head_ = 0;
  std::uint64_t tail_ = 0;
  std::uint64_t segmentStart_ = 0;
  std::deque<Segment> segments_;
};

}  // namespace tutti
