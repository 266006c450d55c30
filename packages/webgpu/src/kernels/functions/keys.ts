/**
 * Integer keys in the order of values, for argMax; the reverse for argMin. NaN has the greatest key in both, and zeros of either
 * sign have one.
 */
import type { Functions } from './function.ts';

type Keyed = 'f32' | 'i32' | 'u32' | 'bool';
export type KeyName = `key_of_${Keyed}` | `reverse_key_of_${Keyed}`;

export const keyFunctions: Functions<KeyName> = {
  key_of_f32: `fn key_of_f32(x: f32) -> i32 {
  let bits = bitcast<i32>(x);
  let magnitude = bits & 0x7fffffff;
  let key = select(magnitude, -magnitude, bits < 0);
  return select(key, 0x7fffffff, magnitude > 0x7f800000);
}`,
  reverse_key_of_f32: `fn reverse_key_of_f32(x: f32) -> i32 {
  return key_of_f32(bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u));
}`,
  key_of_i32: `fn key_of_i32(x: i32) -> i32 {
  return x;
}`,
  reverse_key_of_i32: `fn reverse_key_of_i32(x: i32) -> i32 {
  return ~x;
}`,
  key_of_u32: `fn key_of_u32(x: u32) -> i32 {
  return bitcast<i32>(x ^ 0x80000000u);
}`,
  reverse_key_of_u32: `fn reverse_key_of_u32(x: u32) -> i32 {
  return bitcast<i32>(x ^ 0x7fffffffu);
}`,
  key_of_bool: `fn key_of_bool(x: bool) -> i32 {
  return select(0, 1, x);
}`,
  reverse_key_of_bool: `fn reverse_key_of_bool(x: bool) -> i32 {
  return select(1, 0, x);
}`,
};
