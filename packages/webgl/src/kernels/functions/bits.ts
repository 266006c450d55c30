/**
 * NaN, infinities and signs by their bits.
 *
 * GLSL promises neither NaN nor infinities, and compilers assume that there are none, so a comparison alone proves nothing about
 * them. `infinity_bits` is a variable whose value no compiler knows (see `Shader`).
 */
import type { Functions } from './function.ts';

export type BitsName =
  | 'is_nan'
  | 'unordered'
  | 'is_less'
  | 'is_at_most'
  | 'is_equal'
  | 'is_unequal'
  | 'is_below_zero'
  | 'is_above_zero'
  | 'infinity'
  | 'not_a_number'
  | 'negative_zero'
  | 'opaque'
  | 'max_f32'
  | 'min_f32'
  | 'above_zero'
  | 'below_zero'
  | 'square'
  | 'cube'
  | 'sign_f32'
  | 'with_sign_of'
  | 'floor_f32'
  | 'ceil_f32'
  | 'trunc_f32'
  | 'round_f32'
  | 'sqrt_f32'
  | 'rsqrt_f32'
  | 'leading_zeros';

export const bitsFunctions: Functions<BitsName> = {
  is_nan: `B is_nan(F x) {
  return lt_i32(I(0x7f800000), floatBitsToInt(x) & 0x7fffffff);
}`,
  unordered: `B unordered(F a, F b) {
  return lt_i32(I(0x7f800000), max(floatBitsToInt(a) & 0x7fffffff, floatBitsToInt(b) & 0x7fffffff));
}`,
  // A compiler may take `a < b` for the contrary of `a >= b`.
  is_less: `B is_less(F a, F b) {
  return both(lt_f32(a, b), negated(unordered(a, b)));
}`,
  is_at_most: `B is_at_most(F a, F b) {
  return both(le_f32(a, b), negated(unordered(a, b)));
}`,
  is_equal: `B is_equal(F a, F b) {
  return both(eq_f32(a, b), negated(unordered(a, b)));
}`,
  is_unequal: `B is_unequal(F a, F b) {
  return either(negated(eq_f32(a, b)), unordered(a, b));
}`,
  // -0 and all below.
  is_below_zero: `B is_below_zero(F x) {
  return lt_i32(floatBitsToInt(x), I(-8388607));
}`,
  is_above_zero: `B is_above_zero(F x) {
  return lt_u32(floatBitsToUint(x) - 1u, U(0x7f800000u));
}`,
  infinity: {
    only: `float infinity() {
  return uintBitsToFloat(infinity_bits);
}`,
  },
  not_a_number: {
    only: `float not_a_number() {
  return uintBitsToFloat(infinity_bits | 0x400000u);
}`,
  },
  negative_zero: {
    only: `float negative_zero() {
  return uintBitsToFloat(0x80000000u | (infinity_bits & 0x7fffffu));
}`,
  },
  // x itself, in a form that no compiler sees through.
  opaque: `F opaque(F x) {
  return uintBitsToFloat(floatBitsToUint(x) ^ (infinity_bits & 0x7fffffu));
}`,
  // Where denormals are taken for zero they all compare equal; adding -0 makes zeros of them.
  max_f32: `F max_f32(F a, F b) {
  return select_f32(max(a, b), a + b, unordered(a, b)) + negative_zero();
}`,
  min_f32: `F min_f32(F a, F b) {
  return select_f32(min(a, b), a + b, unordered(a, b)) + negative_zero();
}`,
  // max(x, 0) and min(x, 0)
  above_zero: `F above_zero(F x) {
  return select_f32(x, F(0.0), is_below_zero(x));
}`,
  below_zero: `F below_zero(F x) {
  return select_f32(x, F(0.0), is_above_zero(x));
}`,
  square: `F square(F x) {
  return x * x;
}`,
  cube: `F cube(F x) {
  return x * x * x;
}`,
  sign_f32: `F sign_f32(F x) {
  U bits = floatBitsToUint(x);
  B ordinary = lt_u32((bits & 0x7fffffffu) - 1u, U(0x7f800000u));
  return select_f32(x, uintBitsToFloat((bits & 0x80000000u) | 0x3f800000u), ordinary);
}`,
  // Built-in roundings may lose the sign of a zero. The magnitude's own sign is either equal or lost.
  with_sign_of: `F with_sign_of(F magnitude, F x) {
  return uintBitsToFloat(floatBitsToUint(magnitude) | (floatBitsToUint(x) & 0x80000000u));
}`,
  floor_f32: `F floor_f32(F x) {
  return with_sign_of(floor(x), x);
}`,
  ceil_f32: `F ceil_f32(F x) {
  return with_sign_of(ceil(x), x);
}`,
  trunc_f32: `F trunc_f32(F x) {
  return with_sign_of(trunc(x), x);
}`,
  round_f32: `F round_f32(F x) {
  return with_sign_of(roundEven(x), x);
}`,
  sqrt_f32: `F sqrt_f32(F x) {
  U bits = floatBitsToUint(x);
  B same = either(eq_u32(bits & 0x7fffffffu, U(0u)), either(eq_u32(bits, U(0x7f800000u)), is_nan(x)));
  F root = select_f32(sqrt(x), F(not_a_number()), lt_u32(U(0x80000000u), bits));
  return select_f32(root, x, same);
}`,
  // 1/sqrt(±0) = ±Inf, as 1 / -0 is.
  rsqrt_f32: `F rsqrt_f32(F x) {
  U bits = floatBitsToUint(x);
  B invalid = either(lt_u32(U(0x80000000u), bits), is_nan(x));
  F finite = select_f32(inversesqrt(x), F(not_a_number()), invalid);
  F zero = uintBitsToFloat(infinity_bits | (bits & 0x80000000u));
  F ordinary = select_f32(finite, F(0.0), eq_u32(bits, U(0x7f800000u)));
  return select_f32(ordinary, zero, eq_u32(bits & 0x7fffffffu, U(0u)));
}`,
  // Of 0: 158. Without the bit below the first one, no number rounds up to the next power of two.
  leading_zeros: `U leading_zeros(U x) {
  return 158u - (floatBitsToUint(F(x & ~(x >> 1u))) >> 23u);
}`,
};
