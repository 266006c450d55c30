/** How much there is to do: sizes of spaces, and the weight of expressions. */
import { visitExpressions } from '../expressions.ts';
import type { Expression, IndexVariable, Phase } from '../kernel.ts';

export const sizeOf = (variables: readonly IndexVariable[]): number =>
  variables.reduce((product, { extent }) => product * extent, 1);

/** Everything that a phase's body reads. */
export function rootsOf(phase: Phase): Expression[] {
  if (phase.kind === 'map')
    return phase.stores.flatMap((s) => (s.guard ? [s.index, s.value, s.guard] : [s.index, s.value]));
  return phase.accumulators.flatMap((a) => (a.position ? [a.value, a.position] : [a.value]));
}

const heavy = new Set(['exp', 'log', 'log1p', 'expm1', 'sin', 'cos', 'tanh', 'erf', 'pow', 'roundF16']);

/** Work of evaluating expressions, in simple operations. */
export function weightOf(roots: readonly Expression[], depends?: (e: Expression) => boolean): number {
  let weight = 0;
  visitExpressions(roots, (e) => {
    if (depends && !depends(e)) return;
    if (e.op === 'load') weight += 2;
    if (e.op === 'alu') weight += heavy.has(e.alu) ? 20 : 1;
  });
  return weight;
}

/** A length of blocks near `length` that divides `trips`, or else `length` itself. */
export function divisorNear(trips: number, length: number): number {
  for (let d = 0; d < length / 2; d++) {
    if (trips % (length - d) === 0) return length - d;
    if (trips % (length + d) === 0) return length + d;
  }
  return length;
}
