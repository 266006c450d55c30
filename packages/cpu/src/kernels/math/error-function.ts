/**
 * erf on f32x4: a polynomial in x^2 for small x, and 1 - exp(-P(|x|)) above, where the argument of exp
 * is itself fitted so that the whole stays within one ULP.
 */
import { erfBoundary, erfFarPolynomial, erfNearPolynomial } from '@tutti/core/backend';
import type { Code, Emit } from '../code.ts';
import { exp } from './exponential.ts';

export function erf(code: Code, x: Emit): Emit {
  const magnitude = code.keep(code.op('f32x4.pmin', code.op('f32x4.abs', x), code.f32x4(4))); // erf(4) rounds to 1
  const square = code.op('f32x4.mul', x, x);
  const near = code.keep(code.madd(code.polynomial(code.keep(square), erfNearPolynomial), x, x));
  const exponent = code.keep(
    code.op(
      'f32x4.sub',
      code.op('f32x4.mul', code.polynomial(magnitude, erfFarPolynomial), magnitude),
      magnitude,
    ),
  );
  const decay = code.keep(exp(code, exponent));
  const far = code.op('f32x4.sub', code.f32x4(1), decay);
  const result = code.choose(code.op('f32x4.gt', magnitude, code.f32x4(erfBoundary)), far, near);
  return code.choose(code.i32x4(-0x80000000), x, result);
}
