/**
 * Integer keys in the order of values, for argMax; the reverse for argMin. NaN has the greatest key in both, and zeros of either
 * sign have one.
 */
import type { Functions } from './function.ts';

type Keyed = 'f32' | 'i32' | 'u32' | 'bool';
export type KeyName = `key_of_${Keyed}` | `reverse_key_of_${Keyed}`;

export const keyFunctions: Functions<KeyName> = {
  key_of_f32: `I key_of_f32(F x) {
  I bits = floatBitsToInt(x);
  I magnitude = bits & 0x7fffffff;
  I key = select_i32(magnitude, -magnitude, lt_i32(bits, I(0)));
  return select_i32(key, I(0x7fffffff), lt_i32(I(0x7f800000), magnitude));
}`,
  reverse_key_of_f32: `I reverse_key_of_f32(F x) {
  return key_of_f32(uintBitsToFloat(floatBitsToUint(x) ^ 0x80000000u));
}`,
  key_of_i32: `I key_of_i32(I x) {
  return x;
}`,
  reverse_key_of_i32: `I reverse_key_of_i32(I x) {
  return ~x;
}`,
  key_of_u32: `I key_of_u32(U x) {
  return I(x ^ 0x80000000u);
}`,
  reverse_key_of_u32: `I reverse_key_of_u32(U x) {
  return I(x ^ 0x7fffffffu);
}`,
  key_of_bool: `I key_of_bool(B x) {
  return I(x);
}`,
  reverse_key_of_bool: `I reverse_key_of_bool(B x) {
  return 1 - I(x);
}`,
};
