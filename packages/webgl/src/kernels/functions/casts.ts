/**
 * From f32 to integers: truncates, saturates at the ends of the range, and NaN is 0. The built-in is undefined out of range.
 *
 * From large u32 to f32: rounded once, where built-ins may round twice.
 */
import type { Functions } from './function.ts';

export type CastName = 'f32_to_i32' | 'f32_to_u32' | 'u32_to_f32';

export const castFunctions: Functions<CastName> = {
  f32_to_i32: `I f32_to_i32(F x) {
  I inside = I(clamp(x, -2147483648.0, 2147483520.0));
  return select_i32(select_i32(inside, I(0x7fffffff), le_f32(F(2147483648.0), x)), I(0), is_nan(x));
}`,
  f32_to_u32: `U f32_to_u32(F x) {
  U inside = U(clamp(x, 0.0, 4294967040.0));
  return select_u32(select_u32(inside, U(0xffffffffu), le_f32(F(4294967296.0), x)), U(0u), is_nan(x));
}`,
  u32_to_f32: `F u32_to_f32(U x) {
  return F(x >> 16u) * 65536.0 + F(x & 0xffffu);
}`,
};
