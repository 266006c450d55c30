/** Division of integers, and C's fmod: exact, as a long division of the mantissas in integer arithmetic. */
import type { Functions } from './function.ts';

export type RemainderName =
  | 'divide_i32'
  | 'divide_u32'
  | 'remainder_i32'
  | 'remainder_u32'
  | 'divide_small'
  | 'fmod_f32'
  | 'fmod_part';

export const remainderFunctions: Functions<RemainderName> = {
  divide_i32: `fn divide_i32(a: i32, b: i32) -> i32 {
  let safe = (b != 0) & (b != -1);
  return select(select(-a, 0, b == 0), a / select(1, b, safe), safe);
}`,
  divide_u32: `fn divide_u32(a: u32, b: u32) -> u32 {
  return select(a / max(b, 1u), 0u, b == 0u);
}`,
  remainder_i32: `fn remainder_i32(a: i32, b: i32) -> i32 {
  let d = select(1, b, (b != 0) & (b != -1));
  return a - (a / d) * d;
}`,
  remainder_u32: `fn remainder_u32(a: u32, b: u32) -> u32 {
  return a % max(b, 1u);
}`,
  // x / d for x below 2^21, from 1 / d.
  divide_small: `fn divide_small(x: u32, inverse: f32) -> u32 {
  return bitcast<u32>(floor((f32(i32(x)) + 0.5) * inverse) + 8388608.0) - 0x4b000000u;
}`,
  // (mantissa with its hidden bit, exponent): the magnitude is mantissa * 2^(exponent - 150).
  fmod_part: `fn fmod_part(magnitude: u32) -> vec2<i32> {
  let shift = max(countLeadingZeros(magnitude), 8u) - 8u;
  let normal = vec2<i32>(i32((magnitude & 0x7fffffu) | 0x800000u), i32(magnitude >> 23u));
  return select(normal, vec2<i32>(i32(magnitude << shift), 1 - i32(shift)), magnitude < 0x800000u);
}`,
  // Brings the exponent of x down to that of y, 8 bits of the quotient at a time.
  fmod_f32: `fn fmod_f32(x: f32, y: f32) -> f32 {
  let ax = bitcast<u32>(x) & 0x7fffffffu;
  let ay = bitcast<u32>(y) & 0x7fffffffu;
  if ((ax >= 0x7f800000u) | (ay > 0x7f800000u) | (ay == 0u)) {
    return not_a_number();
  }
  if (ax < ay) {
    return x + negative_zero();
  }
  let a = fmod_part(ax);
  let b = fmod_part(ay);
  let divisor = u32(b.x);
  var rest = u32(a.x) % divisor;
  for (var distance = a.y - b.y; distance > 0; distance -= 8) {
    rest = (rest << u32(min(distance, 8))) % divisor;
  }
  let shift = i32(max(countLeadingZeros(rest), 8u)) - 8;
  let exponent = b.y - shift;
  let normal = ((rest << (u32(shift) & 31u)) & 0x7fffffu) | (u32(max(exponent, 0)) << 23u);
  // Not below the denormal's own step: what is shifted out is zero.
  let denormal = select(rest >> u32(clamp(1 - b.y, 0, 31)), rest << u32(clamp(b.y - 1, 0, 31)), b.y >= 1);
  let magnitude = select(select(normal, denormal, exponent < 1), 0u, rest == 0u);
  return bitcast<f32>(magnitude | (bitcast<u32>(x) & 0x80000000u));
}`,
};
