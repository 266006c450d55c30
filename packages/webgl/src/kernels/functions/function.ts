/**
 * Text of GLSL functions by name.
 *
 * Kernels compute four elements side by side in a vector, or one in a scalar where all four are the same. So a function is a
 * template with types F, I, U and B for float, int, uint and bool, or for vectors of four of them; where operators differ, it
 * is a pair of texts. What a function calls is found in its text, and has the same width.
 */
import { floatDigits } from '@tutti/core/backend';

export type FunctionText =
  /** Of any width. */
  | string
  | { readonly scalar: string; readonly vector: string }
  /** For scalars; vectors go through it element by element. */
  | { readonly each: string }
  /** The same for all callers. */
  | { readonly only: string };

export type Functions<Name extends string> = Readonly<Record<Name, FunctionText>>;

/** A finite number as an f32 literal. */
export const floatLiteral = (value: number): string => floatDigits(value);

/** `c[0] + x (c[1] + x (c[2] + ...))`, lowest power first. */
export function horner(x: string, coefficients: readonly number[]): string {
  return coefficients.map((c) => floatLiteral(c)).reduceRight((sum, c) => `(${sum} * ${x} + ${c})`);
}
