/**
 * erf: a polynomial in x^2 for small x, and 1 - exp(-P(|x|)) above, where the argument of exp is itself
 * fitted so that the whole stays within one ULP.
 */
import { erfBoundary, erfFarPolynomial, erfNearPolynomial } from '@tutti/core/backend';
import { type Functions, horner } from './function.ts';

export type ErrorFunctionName = 'erf_f32';

export const errorFunctions: Functions<ErrorFunctionName> = {
  erf_f32: `fn erf_f32(x: f32) -> f32 {
  let m = abs(x);
  let a = select(m, 4.0, m > 4.0);
  let square = x * x;
  // Scaled where the product of x and a coefficient would be denormal.
  let tiny = m < 1e-30;
  let scaled = x * select(1.0, 16777216.0, tiny);
  let near = fma(${horner('square', erfNearPolynomial)}, scaled, scaled) * select(1.0, 5.9604645e-8, tiny);
  let far = 1.0 - exp_f32(fma(${horner('a', erfFarPolynomial)}, a, -a));
  return select(with_sign_of(select(near, far, a > ${erfBoundary}), x), x, is_nan(x));
}`,
};
