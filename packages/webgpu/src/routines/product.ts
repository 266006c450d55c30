/** Where the operands of a matrix product lie. */
import { type DotAnchor, dtypeInfo, type Product, type ProductOperand, sizeOf } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { decodePoint } from '../kernels/decode.ts';
import { lanesOf } from '../kernels/memory.ts';
import type { Shader } from '../kernels/shader.ts';

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
