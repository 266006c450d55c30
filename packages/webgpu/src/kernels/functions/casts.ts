/**
 * From f32 to integers: truncates, saturates at the ends of the range, and NaN is 0. The built-in stops at the last float below.
 *
 * From large u32 to f32: rounded once, where built-ins may round twice.
 */
import type { Functions } from './function.ts';

export type CastName = 'f32_to_i32' | 'f32_to_u32' | 'u32_to_f32';

export const castFunctions: Functions<CastName> = {
  f32_to_i32: `fn f32_to_i32(x: f32) -> i32 {
  return select(select(i32(x), 0x7fffffff, x >= 2147483648.0), 0, is_nan(x));
}`,
  f32_to_u32: `fn f32_to_u32(x: f32) -> u32 {
  return select(select(u32(x), 0xffffffffu, x >= 4294967296.0), 0u, is_nan(x));
}`,
  u32_to_f32: `fn u32_to_f32(x: u32) -> f32 {
  return f32(x >> 16u) * 65536.0 + f32(x & 0xffffu);
}`,
};
