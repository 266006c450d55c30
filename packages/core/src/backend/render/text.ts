/** Text that is the same in many languages. */

/** `a op b op c op d` as a balanced tree: shorter chains, and smaller rounding errors in sums. */
export function balanced(terms: readonly string[], combine: (a: string, b: string) => string): string {
  if (terms.length === 1) return terms[0]!;
  const middle = terms.length >> 1;
  return combine(balanced(terms.slice(0, middle), combine), balanced(terms.slice(middle), combine));
}

/** A finite number in the fewest digits that give the same f32, with a point or an exponent. */
export function floatDigits(value: number): string {
  const rounded = Math.fround(value);
  for (let digits = 1; digits <= 9; digits++) {
    const text = rounded.toPrecision(digits);
    if (Math.fround(Number(text)) === rounded) return /[.e]/.test(text) ? text : `${text}.0`;
  }
  return `${rounded}`;
}

/** log2 of a power of two, otherwise undefined. */
export function powerOfTwoShift(extent: number): number | undefined {
  const shift = Math.log2(extent);
  return Number.isInteger(shift) ? shift : undefined;
}

/** Source with the numbers of its lines, as people read it beside an error message. */
export function numbered(code: string): string {
  const lines = code.split('\n');
  const width = String(lines.length).length;
  return lines.map((line, i) => `${String(i + 1).padStart(width)}  ${line}`).join('\n');
}
