/** Text of WGSL functions by name. What a function calls is found in its text. */
export type Functions<Name extends string> = Readonly<Record<Name, string>>;

/** `c[0] + x (c[1] + x (c[2] + ...))`, lowest power first. `fma` keeps a compiler from rearranging the sum. */
export function horner(x: string, coefficients: readonly number[]): string {
  return coefficients.map((c) => floatLiteral(c)).reduceRight((sum, c) => `fma(${sum}, ${x}, ${c})`);
}

/** A finite number as an f32 literal: the fewest digits that give the same f32. */
export function floatLiteral(value: number): string {
  const rounded = Math.fround(value);
  for (let digits = 1; digits <= 9; digits++) {
    const text = rounded.toPrecision(digits);
    if (Math.fround(Number(text)) === rounded) return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
  }
  return `${rounded}f`;
}
