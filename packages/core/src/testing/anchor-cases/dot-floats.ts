/** Matrix products of floats whose sums are not exact, or not finite. */
import { type DotLayout, dotAnchor, dotSums } from '../dot-anchor.ts';
import type { BufferContents } from '../interpret.ts';
import { generator } from '../random-kernel.ts';
import type { DotCase } from './dot-case.ts';

/** One NaN and an Inf in lhs and one in rhs, in the last row, column or step, where tiles are padded. */
export const dotSpecialCases = (): DotCase[] =>
  [6, 7, 8, 33].flatMap((k) => (['rows', 'columns'] as const).map((layout) => specialCase(k, layout)));

function specialCase(k: number, layout: DotLayout): DotCase {
  const [m, n] = [21, 19];
  const name = `NaN and Inf stay in their rows and columns, ${k} terms, by ${layout}`;
  const anchor = dotAnchor(m, n, k, { layouts: [layout, layout] });
  const contents = (): BufferContents[] => {
    const [lhs, rhs] = [new Float32Array(m * k).fill(1), new Float32Array(k * n).fill(1)];
    lhs[20 * anchor.lhs.row + (k - 1) * anchor.lhs.column] = Number.NaN;
    lhs[3 * anchor.lhs.row] = Number.POSITIVE_INFINITY;
    rhs[(k - 1) * anchor.rhs.row + 18 * anchor.rhs.column] = Number.NEGATIVE_INFINITY;
    return [lhs, rhs, new Float32Array(m * n)];
  };
  const check = ([, , out]: readonly BufferContents[]): string | undefined => {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const row = i === 20 ? Number.NaN : i === 3 ? Number.POSITIVE_INFINITY : k / 2;
        const column = j === 18 ? Number.NEGATIVE_INFINITY : k / 2;
        const got = out![i * n + j];
        if (!Object.is(got, row + column)) return `${name}: (${i}, ${j}) is ${got}, not ${row + column}`;
      }
    }
    return undefined;
  };
  return { name, anchor, scalars: [], contents, check };
}

/** Sums of any floats are as exact as float32 allows: each within `2^-24 (4 + k / 2)` of the sum of the terms' magnitudes. */
export const dotAccuracyCases = (): DotCase[] =>
  (
    [
      ['rows', 'columns'],
      ['columns', 'rows'],
    ] as const
  ).map((layouts) => {
    const [m, n, k] = [50, 40, 700];
    const name = `sums of floats, lhs by ${layouts[0]}, rhs by ${layouts[1]}`;
    const anchor = dotAnchor(m, n, k, { layouts });
    const contents = (): BufferContents[] => {
      const random = generator(4);
      const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random() * 2 - 1);
      return [floats(m * k), floats(k * n), new Float32Array(m * n)];
    };
    const check = (got: readonly BufferContents[]): string | undefined => {
      const [lhs, rhs] = contents() as [Float32Array, Float32Array];
      const magnitudes = dotSums(anchor, lhs.map(Math.abs), rhs.map(Math.abs));
      for (const [i, sum] of dotSums(anchor, lhs, rhs).entries()) {
        if (!(Math.abs(got[2]![i]! - sum) < 2 ** -24 * (4 + k / 2) * magnitudes[i]!))
          return `${name}: element ${i} is ${got[2]![i]}, not ${sum}`;
      }
      return undefined;
    };
    return { name, anchor, scalars: [], contents, check };
  });
