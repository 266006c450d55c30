/**
 * erf, after N. Juffa: a polynomial in x^2 up to 0.921875, and 1 - exp(-P(|x|)) above, where the argument of exp is itself
 * fitted so that the whole stays within one ULP.
 */
import { type Functions, horner } from './function.ts';

export type ErrorFunctionName = 'erf_f32';

const inner = [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4];
const outer = [
  -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5,
];

export const errorFunctions: Functions<ErrorFunctionName> = {
  erf_f32: `fn erf_f32(x: f32) -> f32 {
  let m = abs(x);
  let a = select(m, 4.0, m > 4.0);
  let square = x * x;
  // Scaled where the product of x and a coefficient would be denormal.
  let tiny = m < 1e-30;
  let scaled = x * select(1.0, 16777216.0, tiny);
  let near = fma(${horner('square', inner)}, scaled, scaled) * select(1.0, 5.9604645e-8, tiny);
  let far = 1.0 - exp_f32(fma(${horner('a', outer)}, a, -a));
  return select(with_sign_of(select(near, far, a > 0.921875), x), x, is_nan(x));
}`,
};
