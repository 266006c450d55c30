/** What expressions refer to. */
import { operands, visitExpressions } from '../expressions.ts';
import type { Expression, IndexVariable, Phase } from '../kernel.ts';
import { rootsOf } from './work.ts';

/** The variables that expressions name, but for those inside expressions that are known as a whole. */
export function usedVariables(
  roots: readonly Expression[],
  isKnown: (e: Expression) => boolean = () => false,
): Set<IndexVariable> {
  const used = new Set<IndexVariable>();
  const seen = new Set<Expression>();
  const visit = (e: Expression): void => {
    if (seen.has(e) || isKnown(e)) return;
    seen.add(e);
    if (e.op === 'index') used.add(e.variable);
    for (const operand of operands(e)) visit(operand);
  };
  for (const root of roots) visit(root);
  return used;
}

/** The indices of loads under `roots`. */
export function loadIndices(roots: readonly Expression[]): Expression[] {
  const indices = new Set<Expression>();
  visitExpressions(roots, (e) => {
    if (e.op === 'load') indices.add(e.index);
  });
  return [...indices];
}

/** The buffers that expressions load from. */
export function loadedBuffers(roots: readonly Expression[]): number[] {
  const loaded = new Set<number>();
  visitExpressions(roots, (e) => {
    if (e.op === 'load') loaded.add(e.buffer);
  });
  return [...loaded];
}

/** Whether a phase loads from or stores to one of these buffers. */
export function touches(phase: Phase, buffers: ReadonlySet<number>): boolean {
  if (phase.kind === 'map' && phase.stores.some(({ buffer }) => buffers.has(buffer))) return true;
  return loadedBuffers(rootsOf(phase)).some((buffer) => buffers.has(buffer));
}
