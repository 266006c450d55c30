#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../common/settings.h"

namespace tutti_emulator {
namespace {

constexpr std::size_t page = 4096, alignment = 256, frontGuard = 128;
constexpr std::size_t remembered = 4096;

std::size_t roundUp(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }
unsigned char* pointer(Address address) { return reinterpret_cast<unsigned char*>(address); }

std::string bytesText(std::size_t bytes) { return std::to_string(bytes) + (bytes == 1 ? " byte" : " bytes"); }

/** The first address in [from, to) that does not hold guard bits any more; `to` where all do. */
Address firstChanged(Address from, Address to) {
  for (Address at = from; at < to; at++) {
    const unsigned char expected = static_cast<unsigned char>(guardBits >> (8 * (at % 4)));
    if (*pointer(at) != expected) return at;
  }
  return to;
}

}  // namespace

void fillWords(void* start, std::size_t bytes, std::uint32_t bits) {
  auto* at = static_cast<unsigned char*>(start);
  // In the phase of the address, so that a zone may begin anywhere.
  while (bytes > 0 && reinterpret_cast<Address>(at) % 4 != 0) {
    *at = static_cast<unsigned char>(bits >> (8 * (reinterpret_cast<Address>(at) % 4)));
    at++, bytes--;
  }
  auto* words = reinterpret_cast<std::uint32_t*>(at);
  std::fill(words, words + bytes / 4, bits);
  for (std::size_t i = bytes / 4 * 4; i < bytes; i++) at[i] = static_cast<unsigned char>(bits >> (8 * (i % 4)));
}

Memory& Memory::instance() {
  // Never destroyed: threads of streams may outlive the end of main.
  static Memory* const memory = new Memory();
  return *memory;
}

Memory::Memory() : sanitized_(setting("SANITIZE") == "address") {
  if (sanitized_) return;
  for (std::size_t bytes = std::size_t{1} << 40; bytes >= std::size_t{1} << 32 && arena_ == 0; bytes /= 16) {
    void* const start = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) continue;
    arena_ = reinterpret_cast<Address>(start);
    arenaEnd_ = arena_ + bytes;
  }
  next_ = arena_;
}

Address Memory::place(std::size_t bytes) {
  Address at = next_;
  for (bool again = false;;) {
    if (at + bytes > arenaEnd_) {
      if (again) return 0;
      again = true;
      at = arena_;
    }
    auto after = live_.upper_bound(at + bytes - 1);
    if (after == live_.begin()) break;
    const Allocation& before = std::prev(after)->second;
    if (before.pagesEnd <= at) {
      if (after == live_.end() || after->second.pages >= at + bytes) break;
      at = after->second.pagesEnd;
    } else {
      at = before.pagesEnd;
    }
  }
  next_ = at + bytes;
  return at;
}

Address Memory::reserve(std::size_t bytes, int device) {
  const std::lock_guard lock(mutex_);
  Allocation allocation{0, bytes, 0, 0, device, false, false};
  if (sanitized_) {
    void* start = nullptr;
    if (posix_memalign(&start, alignment, std::max<std::size_t>(bytes, 1)) != 0) return 0;
    allocation.base = allocation.pages = reinterpret_cast<Address>(start);
    allocation.pagesEnd = allocation.base + bytes;
  } else {
    const std::size_t inner = roundUp(frontGuard + roundUp(bytes, alignment), page);
    allocation.pages = place(inner + page);
    if (allocation.pages == 0) return 0;
    allocation.pagesEnd = allocation.pages + inner + page;
    allocation.base = allocation.pages + inner - roundUp(bytes, alignment);
  }
  live_[allocation.base] = allocation;
  used_[device] += bytes;
  return allocation.base;
}

void Memory::open(Address base) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(base);
  if (found == live_.end()) return;
  Allocation& allocation = found->second;
  allocation.accessible = true;
  if (!sanitized_) {
    if (mprotect(pointer(allocation.pages), allocation.pagesEnd - page - allocation.pages, PROT_READ | PROT_WRITE) != 0)
      throw Failure{outOfMemory};
    fillWords(pointer(base - frontGuard), frontGuard, guardBits);
    const Address end = base + allocation.bytes;
    fillWords(pointer(end), allocation.pagesEnd - page - end, guardBits);
  }
  fillWords(pointer(base), allocation.bytes, freshBits);
}

bool Memory::releasing(Address base) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(base);
  if (found == live_.end() || found->second.releasing) return false;
  found->second.releasing = true;
  return true;
}

std::string Memory::damageOf(const Allocation& allocation) const {
  if (sanitized_ || !allocation.accessible) return "";
  const Address front = allocation.base - frontGuard, end = allocation.base + allocation.bytes,
                back = allocation.pagesEnd - page;
  const Address before = firstChanged(front, allocation.base), behind = firstChanged(end, back);
  const std::string of = " of an allocation of " + bytesText(allocation.bytes);
  if (before != allocation.base)
    return bytesText(allocation.base - before) + " before the start" + of + " were written";
  if (behind != back)
    return "memory was written " + (behind == end ? "directly" : bytesText(behind - end)) + " behind the end" + of;
  return "";
}

void Memory::drop(std::map<Address, Allocation>::iterator found) {
  const Allocation allocation = found->second;
  live_.erase(found);
  used_[allocation.device] -= allocation.bytes;
  if (sanitized_) {
    std::free(pointer(allocation.base));
    return;
  }
  madvise(pointer(allocation.pages), allocation.pagesEnd - allocation.pages, MADV_DONTNEED);
  mprotect(pointer(allocation.pages), allocation.pagesEnd - allocation.pages, PROT_NONE);
  released_.push_back(allocation);
  if (released_.size() > remembered) released_.pop_front();
}

void Memory::release(Address base) {
  std::string damage;
  {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(base);
    if (found == live_.end()) return;
    damage = damageOf(found->second);
    drop(found);
  }
  if (damage.empty()) return;
  report("at a release: " + damage);
  throw Failure{illegalAddress};
}

std::map<Address, Allocation>::iterator Memory::holder(Address address) {
  auto after = live_.upper_bound(address);
  if (after == live_.begin()) return live_.end();
  --after;
  return address - after->first < after->second.bytes ? after : live_.end();
}

std::optional<Allocation> Memory::find(Address address, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = holder(address);
  if (found == live_.end() || found->second.releasing) return std::nullopt;
  const Allocation& allocation = found->second;
  return bytes <= allocation.bytes - (address - allocation.base) ? std::optional(allocation) : std::nullopt;
}

bool Memory::accessible(Address address, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = holder(address);
  return found != live_.end() && found->second.accessible && bytes <= found->second.bytes - (address - found->first);
}

std::string Memory::damage(Address address) {
  const std::lock_guard lock(mutex_);
  const auto found = holder(address);
  return found == live_.end() ? "" : damageOf(found->second);
}

std::string Memory::explain(Address address) {
  const std::lock_guard lock(mutex_);
  for (const auto& [base, allocation] : live_) {
    if (address < allocation.pages || address >= allocation.pagesEnd) continue;
    const std::string of = " of an allocation of " + bytesText(allocation.bytes);
    if (!allocation.accessible) return "before the allocation" + of.substr(17) + " was made in the order of its stream";
    if (address < base) return bytesText(base - address) + " before the start" + of;
    return address >= base + allocation.bytes ? bytesText(address - base - allocation.bytes) + " behind the end" + of
                                              : "in" + of.substr(3);
  }
  for (auto at = released_.rbegin(); at != released_.rend(); ++at) {
    if (address >= at->pages && address < at->pagesEnd)
      return "in an allocation of " + bytesText(at->bytes) + " that was released";
  }
  return "in no allocation";
}

std::size_t Memory::usedBytes(int device) {
  const std::lock_guard lock(mutex_);
  return used_[device];
}

std::size_t Memory::count(int device) {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(live_.begin(), live_.end(), [&](const auto& entry) { return entry.second.device == device; }));
}

void Memory::releaseAll(int device) {
  const std::lock_guard lock(mutex_);
  for (auto at = live_.begin(); at != live_.end();) {
    const auto found = at++;
    if (found->second.device == device) drop(found);
  }
}

}  // namespace tutti_emulator
