/** From the number of a point to its index variables. */
import type { IndexVariable } from '@tutti/core/backend';
import type { Code } from './code.ts';

/** log2 of a power of two, otherwise undefined. */
export function powerOfTwoShift(extent: number): number | undefined {
  const shift = Math.log2(extent);
  return Number.isInteger(shift) ? shift : undefined;
}

/**
 * Names the variables of `space` at the row-major position `point`, a u32. Only those that are `used`, and those that they are
 * reached through, are computed.
 */
export function decodePoint(
  code: Code,
  point: string,
  space: readonly IndexVariable[],
  used: ReadonlySet<IndexVariable>,
): Map<IndexVariable, string> {
  const names = new Map<IndexVariable, string>();
  const outermost = space.findIndex((variable) => used.has(variable) && variable.extent > 1);
  let rest = point;
  for (let i = space.length - 1; i >= 0; i--) {
    const variable = space[i]!;
    if (variable.extent === 1 || i < outermost || outermost < 0) {
      if (used.has(variable)) names.set(variable, code.keep('n', '0'));
      continue;
    }
    const last = space.slice(0, i).every(({ extent }) => extent === 1);
    if (last) {
      names.set(variable, code.keep('n', `i32(${rest})`));
      continue;
    }
    const shift = powerOfTwoShift(variable.extent);
    const quotient = code.keep(
      'q',
      shift === undefined ? `${rest} / ${variable.extent}u` : `${rest} >> ${shift}u`,
    );
    if (used.has(variable)) {
      const remainder =
        shift === undefined
          ? `${rest} - ${quotient} * ${variable.extent}u`
          : `${rest} & ${variable.extent - 1}u`;
      names.set(variable, code.keep('n', `i32(${remainder})`));
    }
    rest = quotient;
  }
  return names;
}
