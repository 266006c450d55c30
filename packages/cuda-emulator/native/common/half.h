// float16 by arithmetic on bits: for processors and compilers without it.
#pragma once

namespace tutti_emulator {

float halfToFloat(unsigned short half);
/** To nearest, ties to even; NaN is 0x7fff. */
unsigned short floatToHalf(float value);

}  // namespace tutti_emulator
