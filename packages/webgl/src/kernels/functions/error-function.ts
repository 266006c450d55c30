/**
 * erf: a polynomial in x^2 for small x, and 1 - exp(-P(|x|)) above, where the argument of exp is itself
 * fitted so that the whole stays near one ULP.
 */
import { erfBoundary, erfFarPolynomial, erfNearPolynomial } from '@tutti/core/backend';
import { type Functions, horner } from './function.ts';

export type ErrorFunctionName = 'erf_f32';

export const errorFunctions: Functions<ErrorFunctionName> = {
  erf_f32: `F erf_f32(F x) {
  F m = abs(x);
  F a = min(m, 4.0);
  F square = x * x;
  // Scaled where the product of x and a coefficient would be denormal.
  B tiny = lt_f32(m, F(1e-30));
  F scaled = x * select_f32(F(1.0), F(16777216.0), tiny);
  F near = (${horner('square', erfNearPolynomial)} * scaled + scaled) * select_f32(F(1.0), F(5.9604645e-8), tiny);
  F far = 1.0 - exp_f32(${horner('a', erfFarPolynomial)} * a - a);
  return select_f32(with_sign_of(select_f32(near, far, lt_f32(F(${erfBoundary}), a)), x), x, is_nan(x));
}`,
};
