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
  exp: 2.5,
  expm1: 5,
  tanh: 4,
  log: 4.5,
  log1p: 7,
  sin: 6,
  cos: 6,
  erf: 7,
  pow: 20,
  fromFloat16: 0.7,
  toFloat16: 2,
  fromBfloat16: 0.1,
  toBfloat16: 0.7,
};

/**
 * Written out where they are used: a call costs 1.5 ns, and its constants are made anew each time, while those of a loop's body
 * are made once. The long or rare ones are called.
 */
const inlined: ReadonlySet<MathName> = new Set<MathName>([
  'exp',
  'tanh',
  'log',
  'erf',
  'fromFloat16',
  'toFloat16',
  'fromBfloat16',
  'toBfloat16',
]);

/** A math function of vectors, as a call of the module's shared helper or in place. */
export function vectorMath(code: Code, name: MathName, ...operands: readonly Emit[]): Emit {
  const define = mathFunctions[name] as (code: Code, ...x: Emit[]) => Emit;
  if (inlined.has(name)) return define(code, ...operands.map((operand) => code.keep(operand)));
  return code.call(code.helper(name, operands.length, define), ...operands);
}
