import { floatDigits } from '@tutti/core/backend';

/** Text of WGSL functions by name. What a function calls is found in its text. */
export type Functions<Name extends string> = Readonly<Record<Name, string>>;

/** `c[0] + x (c[1] + x (c[2] + ...))`, lowest power first. `fma` keeps a compiler from rearranging the sum. */
export function horner(x: string, coefficients: readonly number[]): string {
  return coefficients.map((c) => floatLiteral(c)).reduceRight((sum, c) => `fma(${sum}, ${x}, ${c})`);
}

/** A finite number as an f32 literal. */
export const floatLiteral = (value: number): string => `${floatDigits(value)}f`;
