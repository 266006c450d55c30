#include "staging.h"

namespace tutti {
namespace {

// As the device's own: copies between aligned addresses are the fastest.
constexpr std::size_t alignment = 256;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace

StagingRing::StagingRing(const Context& context, EventPool& events, PinnedMemory& pinned, std::size_t bytes)
    : context_(context),
      events_(events),
      block_(pinned.take(bytes)),
      capacity_(bytes / (4 * alignment) * (4 * alignment)) {}

unsigned char* StagingRing::reserve(std::size_t bytes) {
  const std::size_t size = aligned(bytes);
  while (startFor(size) + size - tail_ > capacity_) retireOldest();
  return block_.data() + startFor(size) % capacity_;
}

void StagingRing::commit(std::size_t bytes, CUstream stream) {
  const std::size_t size = aligned(bytes);
  const std::uint64_t start = startFor(size);
  const bool grows = !segments_.empty() && !segments_.back().copied && segments_.back().stream == stream &&
                     start + size - segmentStart_ <= largestPiece();
  if (!grows) {
    seal();
    segments_.push_back({start, stream, Event()});
    segmentStart_ = start;
  }
  head_ = start + size;
  segments_.back().end = head_;
}

// A piece that does not fit before the end of the ring begins at its start.
std::uint64_t StagingRing::startFor(std::size_t bytes) const {
  const std::uint64_t place = head_ % capacity_;
  return place + bytes > capacity_ ? head_ + (capacity_ - place) : head_;
}

void StagingRing::seal() {
  if (segments_.empty() || segments_.back().copied) return;
  segments_.back().copied = events_.record(segments_.back().stream);
}

void StagingRing::retireOldest() {
  if (segments_.empty()) {
    // Nothing is in use: only what was skipped at the end of the ring stands in the way.
    tail_ = head_ = 0;
    return;
  }
  if (segments_.size() == 1) seal();
  TUTTI_CALL(context_, cuEventSynchronize, segments_.front().copied.handle());
  tail_ = segments_.front().end;
  segments_.pop_front();
}

}  // namespace tutti
