/** What is known of values without running anything, where the rules of floats allow less than compilers think. */
import type { AluExpression, Expression } from '../kernel.ts';
import type { IndexAnalysis } from './analysis.ts';

/** False only where the value is certainly not NaN. */
export function mayBeNaN(e: Expression): boolean {
  if (e.op === 'const') return Number.isNaN(e.value);
  return !(e.op === 'alu' && e.alu === 'cast');
}

/** A float that is a zero of either sign. */
export const isZero = (e: Expression): boolean => e.op === 'const' && e.type === 'f32' && e.value === 0;

/** `x <= 0 ? 0 : x`: where x is 0, either will do, and what is left to ask is one comparison of bits. */
export function isRectifier({ args }: AluExpression): boolean {
  const [condition, zero, x] = args as [Expression, Expression, Expression];
  if (condition.op !== 'alu' || condition.alu !== 'le' || condition.args[0] !== x) return false;
  return isZero(condition.args[1]!) && isZero(zero) && !Object.is((zero as { value?: number }).value, -0);
}

/**
 * Whether compilers may know operand number `i`, or what it is made of, and simplify for it, forgetting that a float may be NaN,
 * infinite, or a zero with a sign: 0 * x to 0, x / 49 to x * (1 / 49), which makes 49 / 49 less than 1, x + 0 to x, x - x to 0,
 * a + (b - a) to b, and a product with an integer that they find to be 0.
 */
export function isFolded(e: AluExpression, i: number, analysis: IndexAnalysis): boolean {
  const { alu, type, args } = e;
  if (type !== 'f32') return false;
  const arg = args[i]!;
  const sum = alu === 'add' || alu === 'sub';
  if (!sum && alu !== 'mul' && alu !== 'div') return false;
  if (i === 1 && arg === args[0] && (alu === 'sub' || alu === 'div')) return true;
  if (isSeenThrough(e, i)) return true;
  if (arg.op !== 'const') return !sum && !analysis.hasData(arg);
  const isPower = Number.isInteger(Math.log2(Math.abs(arg.value)));
  return alu === 'div' && i === 1 ? !isPower : arg.value === 0;
}

function isSeenThrough({ alu, args }: AluExpression, i: number): boolean {
  const arg = args[i]!;
  if (arg.op !== 'alu') return false;
  if (alu === 'add' || alu === 'sub')
    return (arg.alu === 'add' || arg.alu === 'sub') && arg.args.includes(args[1 - i]!);
  const [from] = arg.args;
  const integer = from!.op === 'alu' && from!.type !== 'f32' && from!.type !== 'bool';
  return alu === 'mul' && arg.alu === 'cast' && integer;
}
