/**
 * exp, expm1 and tanh. The built-in `exp` may be off by 3 + 2|x| units of the last place.
 *
 * All three write x = n ln 2 + r with |r| <= ln 2 / 2 and use e^r - 1 = r + r^2 P(r). n comes from adding 1.5 * 2^23, which rounds to an integer and leaves it in the low bits.
 */
import { expm1Polynomial, expPolynomial, floatDigits, ln2ForExp } from '@tutti/core/backend';
import { type Functions, horner } from './function.ts';

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
const log2e = floatDigits(Math.LOG2E);

export const exponentialFunctions: Functions<ExponentialName> = {
  // The integer nearest to a * b, for |a * b| < 2^22.
  nearest_integer: `fn nearest_integer(a: f32, b: f32) -> i32 {
  return bitcast<i32>(fma(a, b, 12582912.0)) - 0x4b400000;
}`,
  // x - n ln 2, with ln 2 in two parts; n * the first is exact. Mesa would add the parts first.
  exp_remainder: `fn exp_remainder(x: f32, n: f32) -> f32 {
  return fma(n, ${-ln2Low}, opaque(fma(n, ${-ln2High}, x)));
}`,
  // e^r - 1
  exp_tail: `fn exp_tail(r: f32) -> f32 {
  return fma(${horner('r', expm1Polynomial)}, r * r, r);
}`,
  // e^r. Mesa would add r and 1 first.
  exp_near_zero: `fn exp_near_zero(r: f32) -> f32 {
  return opaque(fma(${horner('r', expPolynomial)}, r * r, r)) + 1.0;
}`,
  // For results that are normal numbers. A product is a shift that software does not do lane by lane.
  times_power_of_two: `fn times_power_of_two(x: f32, n: i32) -> f32 {
  return bitcast<f32>(bitcast<i32>(x) + n * 8388608);
}`,
  // 2^(n - 1) for n in -125..128.
  half_power_of_two: `fn half_power_of_two(n: i32) -> f32 {
  return bitcast<f32>((n + 126) * 8388608);
}`,
  // What would be denormal is 0.
  exp_f32: `fn exp_f32(x: f32) -> f32 {
  let n = nearest_integer(x, ${log2e});
  let e = times_power_of_two(exp_near_zero(exp_remainder(x, f32(n))), n);
  let limited = select(select(e, infinity(), x > 88.72283), 0.0, x < -87.33655);
  return select(limited, x, is_nan(x));
}`,
  // 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), where the last bracket is exact as long as it matters.
  expm1_f32: `fn expm1_f32(x: f32) -> f32 {
  let c = select(select(x, 89.0, x > 89.0), -20.0, x < -20.0);
  let n = nearest_integer(c, ${log2e});
  let scale = half_power_of_two(n);
  let half = fma(scale, exp_tail(exp_remainder(c, f32(n))), scale - 0.5);
  // x itself where it is NaN or less than 2^-25.
  let same = ((bitcast<u32>(x) & 0x7fffffffu) - 0x33000000u) > 0x4c800000u;
  return select(with_sign_of(half + half, x), x, same);
}`,
  // tanh |x| = -t / (t + 2) with t = e^(-2|x|) - 1, which loses nothing near 0 and cannot overflow.
  tanh_f32: `fn tanh_f32(x: f32) -> f32 {
  let t = expm1_f32(-2.0 * abs(x));
  return select(with_sign_of(abs(t / (t + 2.0)), x), x, is_nan(x));
}`,
};
