/** Pieces of GLSL. */
import { powerOfTwoShift, product } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';

export const components = ['x', 'y', 'z', 'w'] as const;

/** A sum of texts and numbers. */
export function plus(...terms: readonly (string | number)[]): string {
  const constant = terms.reduce<number>((sum, term) => (typeof term === 'number' ? sum + term : sum), 0);
  const texts = terms.filter((term): term is string => typeof term === 'string' && term !== '0');
  const all = constant === 0 && texts.length > 0 ? texts : [...texts, `${constant}`];
  return all.join(' + ').replaceAll('+ -', '- ');
}

/** A text times a constant. */
export function times(text: string, factor: number): string {
  if (factor === 0 || text === '0') return '0';
  if (/^-?\d+$/.test(text)) return `${Number(text) * factor}`;
  if (factor === 1) return text;
  return /^[\w.]+$/.test(text) ? `${text} * ${factor}` : `(${text}) * ${factor}`;
}

/** Where a float divides exactly: the error of (x + 1/2) / d is then less than 1/2 / d. */
const exactBelow = 2 ** 21;

/** What an int that is not negative and below `bound` is as a quotient and a remainder. */
export function divided(
  code: Code,
  dividend: string,
  divisor: number,
  bound: number,
  software: boolean,
): { readonly quotient: string; readonly remainder: string } {
  if (divisor >= bound) return { quotient: '0', remainder: dividend };
  if (divisor === 1) return { quotient: dividend, remainder: '0' };
  const shift = powerOfTwoShift(divisor);
  if (shift !== undefined) {
    return {
      quotient: code.keep('int', 'q', `${dividend} >> ${shift}`),
      remainder: code.keep('int', 'r', `${dividend} & ${divisor - 1}`),
    };
  }
  const quotient =
    software && bound <= exactBelow
      ? `int((float(${dividend}) + 0.5) * ${1 / divisor})` // software divides integers lane by lane
      : `${dividend} / ${divisor}`;
  const name = code.keep('int', 'q', quotient);
  return { quotient: name, remainder: code.keep('int', 'r', `${dividend} - ${name} * ${divisor}`) };
}

/** The coordinates of a row-major number, for dimensions of these extents, outermost first. */
export function decoded(
  code: Code,
  number: string,
  extents: readonly number[],
  software: boolean,
): readonly string[] {
  const found: string[] = [];
  let rest = number;
  let bound = product(extents);
  for (const extent of extents.slice(1).reverse()) {
    const { quotient, remainder } = divided(code, rest, extent, bound, software);
    found.unshift(remainder);
    rest = quotient;
    bound /= extent;
  }
  return [rest, ...found];
}

/** log2 of the texels in a row: nearly square, because rows by themselves leave half of a GPU's lanes without work. */
export function shiftOf(texels: number, columns: number): number {
  const square = Math.round(Math.log2(Math.sqrt(texels)));
  const own = powerOfTwoShift(columns);
  return own !== undefined && Math.abs(own - square) <= 2 ? own : square;
}
