#include <numeric>

#include "../common/settings.h"
#include "block.h"

namespace tutti_emulator {

Order Order::fromEnvironment() {
  const std::string text = setting("ORDER");
  Order order;
  if (text == "reverse") order.kind_ = Kind::reverse;
  if (text.rfind("shuffled", 0) == 0) {
    order.kind_ = Kind::shuffled;
    order.seed_ = text.size() > 9 ? std::strtoull(text.c_str() + 9, nullptr, 10) : 1;
  }
  return order;
}

unsigned long long Order::at(unsigned long long i, unsigned long long count, unsigned long long salt) const {
  if (kind_ == Kind::forward || count < 2) return i;
  if (kind_ == Kind::reverse) return count - 1 - i;
  // i -> (factor * i + start) mod count runs through all where the factor and the count have no divisor in common.
  unsigned long long mixed = (seed_ + 1) * 0x9e3779b97f4a7c15u + salt * 0xbf58476d1ce4e5b9u;
  mixed ^= mixed >> 31;
  unsigned long long factor = (mixed % count) | 1;
  while (std::gcd(factor, count) != 1) factor += 2;
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(factor) * i + (mixed >> 17)) % count);
}

}  // namespace tutti_emulator
