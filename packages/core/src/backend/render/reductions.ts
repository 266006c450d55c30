/** What accumulators start with. */
import type { ScalarType } from '../dtype.ts';
import type { ReduceOp } from '../kernel.ts';

/** Whether the result is where the extreme was found, and not the extreme. */
export const isArgument = (op: ReduceOp): boolean => op === 'argMax' || op === 'argMin';

const extremes: Readonly<Record<ScalarType, readonly [lowest: number, highest: number]>> = {
  f32: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  bool: [0, 1],
};

/** The value that changes nothing, for argMax and argMin that of the extreme. */
export function identityOf(op: ReduceOp, type: ScalarType): number {
  if (op === 'sum' || op === 'prod') return op === 'sum' ? 0 : 1;
  return extremes[type][op === 'max' || op === 'argMax' ? 0 : 1];
}
