/**
 * exp, expm1 and tanh. The built-in `exp` may be off by many units of the last place.
 *
 * All three write x = n ln 2 + r with |r| <= ln 2 / 2 and use e^r - 1 = r + r^2 P(r). n comes from adding 1.5 * 2^23, which rounds to an integer and leaves it in the low bits.
 */
import { expm1Polynomial, expPolynomial, ln2ForExp } from '@tutti/core/backend';
import { type Functions, floatLiteral, horner } from './function.ts';

export type ExponentialName =
  | 'exp_f32'
  | 'expm1_f32'
  | 'tanh_f32'
  | 'nearest_integer'
  | 'exp_remainder'
  | 'exp_tail'
  | 'exp_near_zero'
  | 'times_power_of_two'
  | 'half_power_of_two';

const [ln2High, ln2Low] = ln2ForExp;
const log2e = floatLiteral(Math.LOG2E);

export const exponentialFunctions: Functions<ExponentialName> = {
  // The integer nearest to a * b, for |a * b| < 2^22.
  nearest_integer: `I nearest_integer(F a, float b) {
  return floatBitsToInt(a * b + 12582912.0) - 0x4b400000;
}`,
  // x - n ln 2, with ln 2 in two parts; n * the first is exact. Compilers would put the parts together again.
  exp_remainder: `F exp_remainder(F x, F n) {
  return opaque(x - n * ${ln2High}) + n * ${-ln2Low};
}`,
  // e^r - 1
  exp_tail: `F exp_tail(F r) {
  return ${horner('r', expm1Polynomial)} * (r * r) + r;
}`,
  exp_near_zero: `F exp_near_zero(F r) {
  return (${horner('r', expPolynomial)} * (r * r) + r) + 1.0;
}`,
  // For results that are normal numbers.
  times_power_of_two: `F times_power_of_two(F x, I n) {
  return intBitsToFloat(floatBitsToInt(x) + (n << 23));
}`,
  // 2^(n - 1) for n in -125..128.
  half_power_of_two: `F half_power_of_two(I n) {
  return intBitsToFloat((n + 126) << 23);
}`,
  // What would be denormal is 0.
  exp_f32: `F exp_f32(F x) {
  I n = nearest_integer(x, ${log2e});
  F e = times_power_of_two(exp_near_zero(exp_remainder(x, F(n))), n);
  F large = select_f32(e, F(infinity()), lt_f32(F(88.72283), x));
  return select_f32(select_f32(large, F(0.0), lt_f32(x, F(-87.33655))), x, is_nan(x));
}`,
  // 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), where the last bracket is exact as long as it matters.
  expm1_f32: `F expm1_f32(F x) {
  F c = clamp(x, -20.0, 89.0);
  I n = nearest_integer(c, ${log2e});
  F scale = half_power_of_two(n);
  F part = scale * exp_tail(exp_remainder(c, F(n))) + (scale - 0.5);
  // x itself where it is NaN or less than 2^-25.
  B same = lt_u32(U(0x4c800000u), (floatBitsToUint(x) & 0x7fffffffu) - 0x33000000u);
  return select_f32(with_sign_of(part + part, x), x, same);
}`,
  // tanh |x| = -t / (t + 2) with t = e^(-2|x|) - 1, which loses nothing near 0 and cannot overflow.
  tanh_f32: `F tanh_f32(F x) {
  F t = expm1_f32(-2.0 * abs(x));
  return select_f32(with_sign_of(abs(t / (t + 2.0)), x), x, is_nan(x));
}`,
};
