/** A matrix product in its simplest form, and where its operands lie. */
import { type DotAnchor, type DotOperand, dtypeInfo, type ScalarType } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { decodePoint } from '../kernels/decode.ts';
import { lanesOf } from '../kernels/memory.ts';
import { sizeOf } from '../kernels/segments.ts';
import type { Shader } from '../kernels/shader.ts';

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

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const roundUp = (a: number, step: number): number => Math.ceil(a / step) * step;
export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Number of matrices. */
export const matrices = ({ batch }: Product): number => batch.reduce((a, b) => a * b, 1);

/**
 * The same product with fewer dimensions: batch dimensions of one are dropped, those that only lengthen m (rhs the same for all, rows
 * of lhs evenly spaced) become rows, and a product with one column becomes one with one row.
 */
export function simplify(anchor: DotAnchor): Product {
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

/** Whether the tiles can take it: operands hold the type of the sums, and strides are not negative. */
export function isTaken({ type, lhs, rhs }: DotAnchor): boolean {
  return (
    type !== 'bool' &&
    [lhs, rhs].every(
      ({ dtype, offset, batch, row, column }) =>
        dtypeInfo[dtype].scalar === type && [offset, ...batch, row, column].every((number) => number >= 0),
    )
  );
}

/** A sum of u32 texts. */
export function plus(...terms: readonly string[]): string {
  const present = terms.filter((term) => term !== '' && term !== '0u');
  return present.length === 0 ? '0u' : present.join(' + ');
}

/** A u32 text times a constant. */
export function times(text: string, factor: number): string {
  if (factor === 0 || text === '0u') return '0u';
  if (factor === 1) return text;
  return /^[\w.]+$/.test(text) ? `${text} * ${factor}u` : `(${text}) * ${factor}u`;
}

/** The index of the first element of both operands in matrix number `number`, a u32 text, as names of u32. */
export function emitBases(
  code: Code,
  product: Product,
  number: string,
  software: boolean,
): { readonly lhs: string; readonly rhs: string } {
  const variables = product.batch.map((extent, i) => ({ name: `batch${i}`, extent }));
  const baseOf = ({ offset }: ProductOperand): string => (offset === 0 ? '0u' : `${offset}u`);
  if (sizeOf(variables) === 1) return { lhs: baseOf(product.lhs), rhs: baseOf(product.rhs) };
  const used = new Set(variables.filter((_, i) => product.lhs.batch[i] !== 0 || product.rhs.batch[i] !== 0));
  const names = decodePoint(code, number, variables, used, software);
  const base = (operand: ProductOperand): string => {
    const terms = variables.map((variable, i) =>
      operand.batch[i] === 0 ? '0u' : times(`u32(${names.get(variable)!})`, operand.batch[i]!),
    );
    const sum = plus(baseOf(operand), ...terms);
    return sum === '0u' ? sum : code.keep('o', sum);
  };
  return { lhs: base(product.lhs), rhs: base(product.rhs) };
}

/** An element of an operand as a value; `index` is a u32 text. */
export function loadElement(shader: Shader, { slot, dtype }: ProductOperand, index: string): string {
  return shader.load(slot, lanesOf(dtype) === 1 ? index : `i32(${index})`);
}
