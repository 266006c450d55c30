/**
 * NaN, infinities and signs by their bits.
 *
 * WGSL lets a compiler assume that neither NaN nor infinities occur, so a comparison alone proves nothing about them. And a constant
 * infinity is not even legal: `infinity_bits` is a variable whose value no compiler knows (see `ShaderModule`).
 */
import type { Functions } from './function.ts';

export type BitsName =
  | 'is_nan'
  | 'unordered'
  | 'is_below_zero'
  | 'is_above_zero'
  | 'infinity'
  | 'not_a_number'
  | 'negative_zero'
  | 'opaque'
  | 'larger'
  | 'smaller'
  | 'max_f32'
  | 'min_f32'
  | 'sign_f32'
  | 'with_sign_of'
  | 'sqrt_f32'
  | 'rsqrt_f32';

export const bitsFunctions: Functions<BitsName> = {
  is_nan: `fn is_nan(x: f32) -> bool {
  return (bitcast<i32>(x) & 0x7fffffff) > 0x7f800000;
}`,
  unordered: `fn unordered(a: f32, b: f32) -> bool {
  return max(bitcast<i32>(a) & 0x7fffffff, bitcast<i32>(b) & 0x7fffffff) > 0x7f800000;
}`,
  // -0 and all below.
  is_below_zero: `fn is_below_zero(x: f32) -> bool {
  return bitcast<i32>(x) < -8388607;
}`,
  is_above_zero: `fn is_above_zero(x: f32) -> bool {
  return (bitcast<u32>(x) - 1u) < 0x7f800000u;
}`,
  infinity: `fn infinity() -> f32 {
  return bitcast<f32>(infinity_bits);
}`,
  not_a_number: `fn not_a_number() -> f32 {
  return bitcast<f32>(infinity_bits | 0x400000u);
}`,
  negative_zero: `fn negative_zero() -> f32 {
  return bitcast<f32>(0x80000000u | (infinity_bits & 0x7fffffu));
}`,
  // x itself, in a form that no compiler sees through.
  opaque: `fn opaque(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ (infinity_bits & 0x7fffffu));
}`,
  // Of two that are not NaN. Select: the built-in extremes cost software more.
  larger: `fn larger(a: f32, b: f32) -> f32 {
  return select(a, b, a < b);
}`,
  smaller: `fn smaller(a: f32, b: f32) -> f32 {
  return select(a, b, b < a);
}`,
  // Where denormals are taken for zero they all compare equal; adding -0 makes zeros of them.
  max_f32: `fn max_f32(a: f32, b: f32) -> f32 {
  return select(larger(a, b), a + b, unordered(a, b)) + negative_zero();
}`,
  min_f32: `fn min_f32(a: f32, b: f32) -> f32 {
  return select(smaller(a, b), a + b, unordered(a, b)) + negative_zero();
}`,
  sign_f32: `fn sign_f32(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let ordinary = ((bits & 0x7fffffffu) - 1u) < 0x7f800000u;
  return select(x, bitcast<f32>((bits & 0x80000000u) | 0x3f800000u), ordinary);
}`,
  // Built-in roundings may lose the sign of a zero. The magnitude's own sign is either equal or lost.
  with_sign_of: `fn with_sign_of(magnitude: f32, x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(magnitude) | (bitcast<u32>(x) & 0x80000000u));
}`,
  sqrt_f32: `fn sqrt_f32(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let same = ((bits & 0x7fffffffu) == 0u) | (bits == 0x7f800000u) | is_nan(x);
  return select(select(sqrt(x), not_a_number(), bits > 0x80000000u), x, same);
}`,
  // 1/sqrt(±0) = ±Inf, as 1 / -0 is.
  rsqrt_f32: `fn rsqrt_f32(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let magnitude = bits & 0x7fffffffu;
  let finite = select(inverseSqrt(x), not_a_number(), (bits > 0x80000000u) | is_nan(x));
  let zero = bitcast<f32>(infinity_bits | (bits & 0x80000000u));
  return select(select(finite, 0.0, bits == 0x7f800000u), zero, magnitude == 0u);
}`,
};
