/** Elementary functions on f32x4. Scalars take the same road through one lane, so they give the same bits. */
import type { Code, Emit } from '../code.ts';
import { erf } from './error-function.ts';
import { exp, expm1, tanh } from './exponential.ts';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './halves.ts';
import { log, log1p } from './logarithm.ts';
import { pow } from './power.ts';
import { cos, sin } from './trigonometry.ts';

export { remainder } from './remainder.ts';

export type MathName =
  | 'exp'
  | 'expm1'
  | 'tanh'
  | 'log'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'erf'
  | 'pow'
  | 'fromFloat16'
  | 'toFloat16'
  | 'fromBfloat16'
  | 'toBfloat16';

/** The operands are read several times: they must be cheap (a local). The result must be used once. */
type MathFunction = (code: Code, x: Emit, y: Emit) => Emit;

const mathFunctions: Readonly<Record<MathName, MathFunction>> = {
  exp,
  expm1,
  tanh,
  log,
  log1p,
  sin,
  cos,
  erf,
  pow,
  fromFloat16,
  toFloat16,
  fromBfloat16,
  toBfloat16,
};

/** Nanoseconds for four lanes, roughly. */
export const mathCosts: Readonly<Record<MathName, number>> = {
  exp: 3,
  expm1: 3,
  tanh: 5,
  log: 5,
  log1p: 7,
  sin: 8,
  cos: 8,
  erf: 6,
  pow: 20,
  fromFloat16: 1,
  toFloat16: 2,
  fromBfloat16: 0.3,
  toBfloat16: 1,
};

/** Small enough to be written out where it is used; the others are called. */
const inlined: ReadonlySet<MathName> = new Set<MathName>(['fromBfloat16', 'fromFloat16', 'toBfloat16', 'exp', 'tanh', 'log', 'toFloat16','erf']);

/** A math function of vectors, as a call of the module's shared helper or in place. */
export function vectorMath(code: Code, name: MathName, ...operands: readonly Emit[]): Emit {
  const define = mathFunctions[name] as (code: Code, ...x: Emit[]) => Emit;
  if (inlined.has(name)) return define(code, ...operands.map((operand) => code.keep(operand)));
  return code.call(code.helper(name, operands.length, define), ...operands);
}
