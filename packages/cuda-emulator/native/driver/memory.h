// Device memory: memory of the host between guard zones, filled with bits that are NaN in every format of floating
// point.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cuda.h"

namespace tutti_emulator {

/** NaN as float32, and as float16 and bfloat16 in both halves. */
constexpr std::uint32_t freshBits = 0xffc1ffc1u, sharedBits = 0xffe1ffe1u, guardBits = 0xfff1fff1u;

void fillWords(void* start, std::size_t bytes, std::uint32_t bits);

struct Allocation {
  Address base;
  std::size_t bytes;
  /** The pages around it, guard zones included. */
  Address pages, pagesEnd;
  int device;
  /** Made in the order of a stream: nobody may touch it before, or after its release there. */
  bool accessible, releasing;
};

/**
 * Allocations have pages of their own, with an inaccessible page behind, and addresses are not used again for long:
 * what goes far out of bounds, or comes after the release, is stopped by the processor. What goes out of bounds by a
 * little is found in the guard zone.
 */
class Memory {
 public:
  static Memory& instance();

  /** Takes addresses; the memory is there from `open` on. */
  Address reserve(std::size_t bytes, int device);
  void open(Address base);
  /** The release has been asked for. False where there is no such allocation, or it was released before. */
  bool releasing(Address base);
  /** @throws Failure where somebody wrote into the guard zones. */
  void release(Address base);

  /** The allocation that holds all these bytes. */
  std::optional<Allocation> find(Address address, std::size_t bytes);
  /** The bytes can be touched at this moment. */
  bool accessible(Address address, std::size_t bytes);
  /** What is wrong with an address, for a message. */
  std::string explain(Address address);
  /** What was written out of bounds around the allocation that holds the address; empty for nothing. */
  std::string damage(Address address);
  std::size_t usedBytes(int device);
  std::size_t count(int device);
  /** Whatever is left of a device whose context ends. */
  void releaseAll(int device);

 private:
  Memory();
  Address place(std::size_t bytes);
  std::map<Address, Allocation>::iterator holder(Address address);
  void drop(std::map<Address, Allocation>::iterator found);
  std::string damageOf(const Allocation& allocation) const;

  std::mutex mutex_;
  bool sanitized_;
  Address arena_ = 0, arenaEnd_ = 0, next_ = 0;
  std::map<Address, Allocation> live_;
  std::deque<Allocation> released_;
  std::map<int, std::size_t> used_;
};

}  // namespace tutti_emulator
