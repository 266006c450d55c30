#include "half.h"

#include <cstdint>
#include <cstring>

namespace tutti_emulator {

float halfToFloat(unsigned short half) {
  // The exponent is put right by a product, which also makes normal what is denormal; Inf and NaN keep theirs.
  std::uint32_t bits = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  float value;
  std::memcpy(&value, &bits, 4);
  value *= 0x1p112f;
  std::memcpy(&bits, &value, 4);
  if ((half & 0x7c00) == 0x7c00) bits |= 0x7f800000u;
  bits |= static_cast<std::uint32_t>(half & 0x8000) << 16;
  std::memcpy(&value, &bits, 4);
  return value;
}

unsigned short floatToHalf(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const auto sign = static_cast<unsigned short>(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return 0x7fff;
  if (bits >= 0x47800000) return sign | 0x7c00;
  if (bits < 0x38800000) {
    // Denormal: a sum aligns the bits so that the processor rounds them, to nearest even.
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    magnitude += 0.5f;
    std::memcpy(&bits, &magnitude, 4);
    return sign | static_cast<unsigned short>(bits - 0x3f000000);
  }
  const std::uint32_t odd = bits >> 13 & 1;
  return sign | static_cast<unsigned short>((bits - 0x38000000 + 0xfff + odd) >> 13);
}

}  // namespace tutti_emulator
