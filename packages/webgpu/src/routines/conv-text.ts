/** Index arithmetic as text. */
import { type IndexVariable, powerOfTwoShift } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { decodePoint } from '../kernels/decode.ts';

/** Adds a constant. */
export const plus = (text: string, offset: number): string =>
  offset === 0 ? text : offset < 0 ? `${text} - ${-offset}` : `${text} + ${offset}`;

/** Multiplies by a constant. */
export const times = (text: string, factor: number): string =>
  factor === 1 ? text : factor < 0 ? `${text} * (${factor})` : `${text} * ${factor}`;

/** The sum of constant multiples of names, as an i32; those that are zero leave nothing. */
export function affine(offset: number, ...terms: readonly (readonly [string, number])[]): string {
  const used = terms.filter(([name, factor]) => factor !== 0 && name !== '0');
  if (used.length === 0) return offset < 0 ? `i32(${offset})` : `${offset}`;
  return plus(used.map(([name, factor]) => times(name, factor)).join(' + '), offset);
}

/**
 * A u32 below `bound` divided by a constant d, as a product and a shift where that is exact: with m = ceil(2^s / d) and e = m * d - 2^s,
 * (x * m) >> s is the quotient for x * e < 2^s. Software does these four lanes at a time, and divides lane by lane.
 */
export function quotientOf(dividend: string, divisor: number, bound: number): string {
  const shift = powerOfTwoShift(divisor);
  if (shift !== undefined) return `${dividend} >> ${shift}u`;
  for (let s = 16; s < 32; s++) {
    const factor = Math.ceil(2 ** s / divisor);
    if (bound * factor < 2 ** 32 && bound * (factor * divisor - 2 ** s) < 2 ** s)
      return `(${dividend} * ${factor}u) >> ${s}u`;
  }
  return `${dividend} / ${divisor}u`;
}

/** Texts of the variables of `space` at the row-major position `point`, a u32; 0 for those that are nothing else. */
export function decoded(
  code: Code,
  point: string,
  space: readonly IndexVariable[],
  software: boolean,
): readonly string[] {
  const long = new Set(space.filter(({ extent }) => extent > 1));
  const names = decodePoint(code, point, space, long, software);
  return space.map((variable) => names.get(variable) ?? '0');
}
