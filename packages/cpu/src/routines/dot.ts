/** Matrix products: brings an anchor to its simplest form and chooses the routine. */
import { type DotAnchor, product } from '@tutti/core/backend';
import type { WasmProgram } from '../program.ts';
import { zeroProgram } from './finish.ts';
import { gemmProgram } from './gemm.ts';
import type { Product } from './gemm-plan.ts';
import { innerProgram, isInner } from './inner.ts';

export function dotRoutine(anchor: DotAnchor): WasmProgram | undefined {
  if (anchor.type !== 'f32' || anchor.lhs.dtype !== 'float32' || anchor.rhs.dtype !== 'float32')
    return undefined;
  const elements = product(anchor.batch) * anchor.m * anchor.n;
  if (elements === 0 || anchor.k === 0) return zeroProgram(anchor, elements);
  const simple = simplify(anchor);
  return isInner(simple) ? innerProgram(simple) : gemmProgram(simple);
}

/**
 * The same product with fewer dimensions: batch dimensions of one are dropped, those that only lengthen m (rhs the same
 * for all, rows of lhs evenly spaced) become rows, and a product with one column becomes one with one row.
 */
export function simplify(anchor: DotAnchor): Product {
  const keep = anchor.batch.map((extent) => extent !== 1);
  const kept = <T>(values: readonly T[]): T[] => values.filter((_, i) => keep[i]);
  let { m, n } = anchor;
  const batch = kept(anchor.batch);
  let lhs: Product['lhs'] = { ...anchor.lhs, batch: kept(anchor.lhs.batch), slot: 0 };
  let rhs: Product['rhs'] = { ...anchor.rhs, batch: kept(anchor.rhs.batch), slot: 1 };
  while (batch.length > 0 && rhs.batch.at(-1) === 0 && (m === 1 || lhs.batch.at(-1) === m * lhs.row)) {
    if (m === 1) lhs = { ...lhs, row: lhs.batch.at(-1)! };
    m *= batch.pop()!;
    lhs = { ...lhs, batch: lhs.batch.slice(0, -1) };
    rhs = { ...rhs, batch: rhs.batch.slice(0, -1) };
  }
  if (n === 1 && m > 1) {
    [m, n] = [n, m];
    [lhs, rhs] = [
      { ...rhs, row: rhs.column, column: rhs.row },
      { ...lhs, row: lhs.column, column: lhs.row },
    ];
  }
  return { ...anchor, batch, m, n, lhs, rhs };
}
