/**
 * erf on f32x4, after N. Juffa: a polynomial in x^2 up to 0.921875, and 1 - exp(-P(|x|)) above, where the argument of exp
 * is itself fitted so that the whole stays within one ULP.
 */
import type { Code, Emit } from '../code.ts';
import { exp } from './exponential.ts';

const inner = [1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4];
const outer = [
  -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5,
];

export function erf(code: Code, x: Emit): Emit {
  const magnitude = code.keep(code.op('f32x4.pmin', code.op('f32x4.abs', x), code.f32x4(4))); // erf(4) rounds to 1
  const square = code.op('f32x4.mul', x, x);
  const near = code.keep(code.madd(code.polynomial(code.keep(square), inner), x, x));
  const exponent = code.keep(
    code.op('f32x4.sub', code.op('f32x4.mul', code.polynomial(magnitude, outer), magnitude), magnitude),
  );
  const decay = code.keep(exp(code, exponent));
  const far = code.op('f32x4.sub', code.f32x4(1), decay);
  const result = code.choose(code.op('f32x4.gt', magnitude, code.f32x4(0.921875)), far, near);
  return code.choose(code.i32x4(-0x80000000), x, result);
}
