/** A matrix product in its simplest form. */
import type { ScalarType } from '../dtype.ts';
import type { DotAnchor, DotOperand } from '../routine.ts';
import { product } from './numbers.ts';

/** An operand that may have changed places: `slot` is the buffer that it is bound to. */
export interface ProductOperand extends DotOperand {
  readonly slot: 0 | 1;
}

/** `out[b, m, n] = sum_k lhs[b, m, k] * rhs[b, k, n]`. */
export interface Product {
  readonly anchor: DotAnchor;
  readonly type: ScalarType;
  readonly batch: readonly number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly lhs: ProductOperand;
  readonly rhs: ProductOperand;
}

/** Number of matrices. */
export const matrices = ({ batch }: Pick<Product, 'batch'>): number => product(batch);

/**
 * The same product with fewer dimensions: batch dimensions of one are dropped, those that only lengthen m (rhs the same for all, rows
 * of lhs evenly spaced) become rows, and a product with one column becomes one with one row.
 */
export function simplifyDot(anchor: DotAnchor): Product {
  const keep = anchor.batch.map((extent) => extent !== 1);
  const kept = <T>(values: readonly T[]): T[] => values.filter((_, i) => keep[i]);
  let { m, n } = anchor;
  const batch = kept(anchor.batch);
  let lhs: ProductOperand = { ...anchor.lhs, batch: kept(anchor.lhs.batch), slot: 0 };
  let rhs: ProductOperand = { ...anchor.rhs, batch: kept(anchor.rhs.batch), slot: 1 };
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
  return { anchor, type: anchor.type, batch, m, n, k: anchor.k, lhs, rhs };
}
