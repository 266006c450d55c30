/**
 * Division of integers, whose sign GLSL leaves open and whose divisor must not be 0; and C's fmod: exact, as a long division of
 * the mantissas in integer arithmetic.
 */
import type { Functions } from './function.ts';

export type RemainderName =
  | 'magnitude_i32'
  | 'with_sign_i32'
  | 'divide_i32'
  | 'divide_u32'
  | 'remainder_i32'
  | 'remainder_u32'
  | 'divide_small'
  | 'remainder_small'
  | 'fmod_f32'
  | 'fmod_part';

export const remainderFunctions: Functions<RemainderName> = {
  magnitude_i32: `U magnitude_i32(I x) {
  return select_u32(U(x), 0u - U(x), lt_i32(x, I(0)));
}`,
  with_sign_i32: `I with_sign_i32(U magnitude, I x) {
  return I(select_u32(magnitude, 0u - magnitude, lt_i32(x, I(0))));
}`,
  divide_i32: `I divide_i32(I a, I b) {
  U quotient = magnitude_i32(a) / max(magnitude_i32(b), U(1u));
  return select_i32(with_sign_i32(quotient, a ^ b), I(0), eq_i32(b, I(0)));
}`,
  divide_u32: `U divide_u32(U a, U b) {
  return select_u32(a / max(b, U(1u)), U(0u), eq_u32(b, U(0u)));
}`,
  remainder_i32: `I remainder_i32(I a, I b) {
  return with_sign_i32(magnitude_i32(a) % max(magnitude_i32(b), U(1u)), a);
}`,
  remainder_u32: `U remainder_u32(U a, U b) {
  return a % max(b, U(1u));
}`,
  // x / d for x from 0 to 2^21, from 1 / d: the error of (x + 1/2) / d is less than 1/2 / d.
  divide_small: `I divide_small(I x, float inverse) {
  return I((F(x) + 0.5) * inverse);
}`,
  remainder_small: `I remainder_small(I x, int d, float inverse) {
  return x - I((F(x) + 0.5) * inverse) * d;
}`,
  // Mantissa with its hidden bit, and exponent: the magnitude is mantissa * 2^(exponent - 150).
  fmod_part: {
    only: `uint fmod_part(uint magnitude, out int exponent) {
  uint shift = max(leading_zeros(magnitude), 8u) - 8u;
  bool denormal = magnitude < 0x800000u;
  exponent = denormal ? 1 - int(shift) : int(magnitude >> 23u);
  return denormal ? magnitude << shift : (magnitude & 0x7fffffu) | 0x800000u;
}`,
  },
  // Brings the exponent of x down to that of y, 8 bits of the quotient at a time.
  fmod_f32: {
    each: `float fmod_f32(float x, float y) {
  uint ax = floatBitsToUint(x) & 0x7fffffffu;
  uint ay = floatBitsToUint(y) & 0x7fffffffu;
  if (ax >= 0x7f800000u || ay > 0x7f800000u || ay == 0u) {
    return not_a_number();
  }
  if (ax < ay) {
    return x + negative_zero();
  }
  int x_exponent;
  int y_exponent;
  uint mantissa = fmod_part(ax, x_exponent);
  uint divisor = fmod_part(ay, y_exponent);
  uint rest = mantissa % divisor;
  for (int distance = x_exponent - y_exponent; distance > 0; distance -= 8) {
    rest = (rest << uint(min(distance, 8))) % divisor;
  }
  int shift = min(int(max(leading_zeros(rest), 8u)) - 8, 31);
  int exponent = y_exponent - shift;
  uint normal = ((rest << uint(shift)) & 0x7fffffu) | (uint(max(exponent, 0)) << 23u);
  // Not below the denormal's own step: what is shifted out is zero.
  uint down = rest >> uint(clamp(1 - y_exponent, 0, 31));
  uint up = rest << uint(clamp(y_exponent - 1, 0, 31));
  uint denormal = y_exponent >= 1 ? up : down;
  uint magnitude = rest == 0u ? 0u : exponent < 1 ? denormal : normal;
  return uintBitsToFloat(magnitude | (floatBitsToUint(x) & 0x80000000u));
}`,
  },
};
