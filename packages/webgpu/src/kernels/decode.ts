/** From the number of a point to its index variables. */
import { type IndexVariable, powerOfTwoShift } from '@tutti/core/backend';
import type { Code } from './code.ts';
import { floatLiteral } from './functions/index.ts';

/**
 * Names the variables of `space` at the row-major position `point`, a u32. Only those that are `used`, and those that they are
 * reached through, are computed.
 */
export function decodePoint(
  code: Code,
  point: string,
  space: readonly IndexVariable[],
  used: ReadonlySet<IndexVariable>,
  software: boolean,
): Map<IndexVariable, string> {
  const names = new Map<IndexVariable, string>();
  for (const variable of used) {
    if (variable.extent === 1 && space.includes(variable)) names.set(variable, code.keep('n', '0'));
  }
  const long = space.filter(({ extent }) => extent > 1);
  const outermost = long.findIndex((variable) => used.has(variable));
  let rest = point;
  /** What `rest` is less than. */
  let bound = long.reduce((product, { extent }) => product * extent, 1);
  for (let i = long.length - 1; i >= outermost && outermost >= 0; i--) {
    const variable = long[i]!;
    if (i === 0) {
      names.set(variable, code.keep('n', `i32(${rest})`));
      break;
    }
    const { quotient, remainder } = division(rest, variable.extent, bound, software);
    const above = code.keep('q', quotient);
    if (used.has(variable)) names.set(variable, code.keep('n', `i32(${remainder(above)})`));
    rest = above;
    bound /= variable.extent;
  }
  return names;
}

export interface Division {
  readonly quotient: string;
  readonly remainder: (quotient: string) => string;
}

/**
 * A u32 below `bound` divided by a constant. Software divides lane by lane, so there the quotient is a float: the error of
 * (x + 1/2) / d is less than 1/2 / d below 2^21. Elsewhere operators tell compilers the range of what comes out.
 */
export function division(dividend: string, divisor: number, bound: number, software: boolean): Division {
  const shift = powerOfTwoShift(divisor);
  if (shift !== undefined) {
    return { quotient: `${dividend} >> ${shift}u`, remainder: () => `${dividend} & ${divisor - 1}u` };
  }
  if (!software)
    return { quotient: `${dividend} / ${divisor}u`, remainder: () => `${dividend} % ${divisor}u` };
  const remainder = (quotient: string): string => `${dividend} - ${quotient} * ${divisor}u`;
  if (bound > 2 ** 21) return { quotient: `${dividend} / ${divisor}u`, remainder };
  return { quotient: `divide_small(${dividend}, ${floatLiteral(1 / divisor)})`, remainder };
}
