/** What expressions refer to. */
import { type Expression, type IndexVariable, visitExpressions } from '@tutti/core/backend';

/** The variables that expressions name. */
export function usedVariables(roots: readonly Expression[]): Set<IndexVariable> {
  const used = new Set<IndexVariable>();
  visitExpressions(roots, (e) => {
    if (e.op === 'index') used.add(e.variable);
  });
  return used;
}

/** The buffers that expressions load from. */
export function loadedBuffers(roots: readonly Expression[]): number[] {
  const loaded = new Set<number>();
  visitExpressions(roots, (e) => {
    if (e.op === 'load') loaded.add(e.buffer);
  });
  return [...loaded];
}
