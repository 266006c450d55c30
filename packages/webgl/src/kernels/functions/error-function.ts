/**
 * erf, after N. Juffa: a polynomial in x^2 up to 0.921875, and 1 - exp(-P(|x|)) above, where the argument of exp is itself
 * fitted so that the whole stays near one ULP.
 */
import { type Functions, horner } from './function.ts';

export type ErrorFunctionName = 'erf_f32';

const inner = [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4];
const outer = [
  -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5,
];

export const errorFunctions: Functions<ErrorFunctionName> = {
  erf_f32: `F erf_f32(F x) {
  F m = abs(x);
  F a = min(m, 4.0);
  F square = x * x;
  // Scaled where the product of x and a coefficient would be denormal.
  B tiny = lt_f32(m, F(1e-30));
  F scaled = x * select_f32(F(1.0), F(16777216.0), tiny);
  F near = (${horner('square', inner)} * scaled + scaled) * select_f32(F(1.0), F(5.9604645e-8), tiny);
  F far = 1.0 - exp_f32(${horner('a', outer)} * a - a);
  return select_f32(with_sign_of(select_f32(near, far, lt_f32(F(0.921875), a)), x), x, is_nan(x));
}`,
};
