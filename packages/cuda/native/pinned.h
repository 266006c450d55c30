// Pinned host memory, which the device writes into while the processor does something else. Kept for reuse: pinning takes far longer
// than copying.
#pragma once

#include <map>
#include <vector>

#include "context.h"

namespace tutti {

class PinnedMemory;

// A block on loan.
class PinnedBlock {
 public:
  PinnedBlock() = default;
  PinnedBlock(PinnedMemory& owner, void* data, std::size_t bytes) : owner_(&owner), data_(data), bytes_(bytes) {}
  PinnedBlock(PinnedBlock&& other) noexcept;
  PinnedBlock& operator=(PinnedBlock&& other) noexcept;
  ~PinnedBlock();

  unsigned char* data() const { return static_cast<unsigned char*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  PinnedMemory* owner_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

// For one thread. Outlives its blocks.
class PinnedMemory {
 public:
  explicit PinnedMemory(const Context& context) : context_(context) {}
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  // At least as many bytes. Throws CUDA_ERROR_OUT_OF_MEMORY.
  PinnedBlock take(std::size_t bytes);
  // Of all blocks, on loan or kept.
  std::uint64_t totalBytes() const { return total_; }

 private:
  friend class PinnedBlock;
  void give(void* data, std::size_t bytes);
  void release(void* data, std::size_t bytes);

  const Context& context_;
  std::map<std::size_t, std::vector<void*>> kept_;
  std::uint64_t keptBytes_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace tutti
