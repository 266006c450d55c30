/** From the number of a point to its index variables. */
import { type IndexVariable, powerOfTwoShift } from '@tutti/core/backend';
import type { Code } from './code.ts';

/**
 * Names the variables of `space` at the row-major position `point`, an unsigned. Only those that are `used`, and those that they are
 * reached through, are computed. Divisions are by constants: compilers make products of them.
 */
export function decodePoint(
  code: Code,
  point: string,
  space: readonly IndexVariable[],
  used: ReadonlySet<IndexVariable>,
  wide = false,
): Map<IndexVariable, string> {
  const names = new Map<IndexVariable, string>();
  const long = space.filter(({ extent }) => extent > 1);
  for (const variable of space) if (variable.extent === 1) names.set(variable, '0');
  const outermost = long.findIndex((variable) => used.has(variable));
  let rest = point;
  for (let i = long.length - 1; i >= outermost && outermost >= 0; i--) {
    const variable = long[i]!;
    const name = (text: string): void => {
      if (!used.has(variable)) return;
      const given = code.variable(variable.name);
      code.line(`const int ${given} = (int)${text};`);
      names.set(variable, given);
    };
    if (i === 0) {
      name(rest);
      break;
    }
    name(`(${modulo(rest, variable.extent)})`);
    if (i === outermost) break;
    rest = code.keep(wide ? 'unsigned long long' : 'unsigned', 'q', quotient(rest, variable.extent));
  }
  return names;
}

export function quotient(dividend: string, divisor: number): string {
  const shift = powerOfTwoShift(divisor);
  return shift === undefined ? `${dividend} / ${divisor}u` : `${dividend} >> ${shift}`;
}

export function modulo(dividend: string, divisor: number): string {
  return powerOfTwoShift(divisor) === undefined
    ? `${dividend} % ${divisor}u`
    : `${dividend} & ${divisor - 1}u`;
}
