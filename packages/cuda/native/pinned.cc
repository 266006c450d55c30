#include "pinned.h"

#include <utility>

namespace tutti {
namespace {

constexpr std::size_t smallestBlock = 4096;
// Enough for the results of a training step; a checkpoint's large tensors are pinned once each and given back.
constexpr std::uint64_t mostKept = 64 << 20;

std::size_t sizeClass(std::size_t bytes) {
  std::size_t size = smallestBlock;
  while (size < bytes) size *= 2;
  return size;
}

}  // namespace

PinnedBlock::PinnedBlock(PinnedBlock&& other) noexcept
    : owner_(other.owner_), data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

PinnedBlock& PinnedBlock::operator=(PinnedBlock&& other) noexcept {
  std::swap(owner_, other.owner_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedBlock::~PinnedBlock() {
  if (data_) owner_->give(data_, bytes_);
}

PinnedMemory::~PinnedMemory() {
  for (const auto& [bytes, blocks] : kept_) {
    for (void* each : blocks) release(each, bytes);
  }
}

PinnedBlock PinnedMemory::take(std::size_t bytes) {
  // Doubling what is large would waste half of it.
  const std::size_t size = bytes > mostKept ? bytes : sizeClass(bytes);
  const auto kept = kept_.find(size);
  if (kept != kept_.end() && !kept->second.empty()) {
    void* data = kept->second.back();
    kept->second.pop_back();
    keptBytes_ -= size;
    return PinnedBlock(*this, data, size);
  }
  void* data = nullptr;
  TUTTI_CALL(context_, cuMemHostAlloc, &data, size, 0);
  total_ += size;
  return PinnedBlock(*this, data, size);
}

void PinnedMemory::give(void* data, std::size_t bytes) {
  if (keptBytes_ + bytes > mostKept) return release(data, bytes);
  kept_[bytes].push_back(data);
  keptBytes_ += bytes;
}

void PinnedMemory::release(void* data, std::size_t bytes) {
  total_ -= bytes;
  if (!context_.failed()) context_.api().cuMemFreeHost(data);
}

}  // namespace tutti
