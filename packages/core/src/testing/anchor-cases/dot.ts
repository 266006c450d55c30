/** Matrix products that every backend's routines are tested with. */
import type { DType } from '../../backend/index.ts';
import { type DotOptions, dotLayouts } from '../dot-anchor.ts';
import { generator } from '../random-kernel.ts';
import { type DotCase, type DotSizes, dotCase } from './dot-case.ts';
import { dotAccuracyCases, dotSpecialCases } from './dot-floats.ts';

type Listed = readonly [...DotSizes, DotOptions?];

/** Cases of these options, those that are alike only once. */
function casesOf(list: readonly Listed[]): DotCase[] {
  const cases = new Map<string, DotCase>();
  for (const [m, n, k, options] of list) {
    const made = dotCase([m, n, k], options, cases.size + 1);
    cases.set(made.name, cases.get(made.name) ?? made);
  }
  return [...cases.values()];
}

/** All sizes, in no order. */
const dotSizeCases = (): DotCase[] => {
  const random = generator(1);
  const pick = (from: readonly number[]): number => from[Math.floor(random() * from.length)]!;
  const sizes = [1, 2, 3, 4, 5, 8, 13, 16, 31, 64, 70];
  const terms = [1, 2, 3, 4, 5, 16, 33, 40];
  const beyond = (i: number): number => (i % 3 === 0 ? 0 : 1);
  return casesOf(
    Array.from({ length: 40 }, (_, i): Listed => [pick(sizes), pick(sizes) + beyond(i), pick(terms)]),
  );
};

/** Each layout of lhs with each of rhs. */
const dotLayoutCases = (): DotCase[] =>
  casesOf(
    dotLayouts.flatMap((lhs, i) =>
      dotLayouts.flatMap((rhs, j): Listed[] => {
        const layouts = [lhs, rhs] as const;
        const shapes: Listed[] = [
          [16, 20, 32, { layouts }],
          [18, 13, 45, { layouts, batch: [2] }],
          [1, 21, 37, { layouts }],
        ];
        if ((i + 1) % dotLayouts.length === j) shapes.push([20, 24, 12, { layouts }]);
        if ((j + 1) % dotLayouts.length === i) shapes.push([17, 21, 7, { layouts }]);
        return shapes;
      }),
    ),
  );

/** Operands of many rows, of rows that are long, and of many matrices. */
const dotLargeCases = (): DotCase[] =>
  casesOf([
    [16, 1000, 100],
    [12, 1024, 72, { layouts: ['rows', 'rows'] }],
    [12, 1020, 72, { layouts: ['rows', 'columns'] }],
    [600, 20, 140, { layouts: ['rows', 'columns'] }],
    [600, 20, 140, { layouts: ['columns', 'rows'] }],
    [512, 16, 64, { batch: [2], layouts: ['columns', 'rows'] }],
    [20, 24, 200, { batch: [12], layouts: ['rows', 'columns'] }],
    [32, 32, 64, { batch: [10], layouts: ['rows', 'columns'] }],
    [9, 1500, 33, { layouts: ['strided', 'strided'] }],
  ]);

/** Batches of one and several dimensions, of operands that are shared and not. */
const dotBatchCases = (): DotCase[] =>
  casesOf(
    [false, true].flatMap((lhs) =>
      [false, true].flatMap((rhs): Listed[] => [
        [5, 9, 4, { batch: [3], shared: [lhs, rhs] }],
        [20, 17, 6, { batch: [2, 1, 3], shared: [lhs, rhs], layouts: ['columns', 'columns'] }],
        [8, 16, 8, { batch: [3, 2], shared: [lhs, rhs], layouts: ['rows', 'columns'] }],
        [1, 6, 7, { batch: [4, 1], shared: [lhs, rhs] }],
        [6, 1, 7, { batch: [2, 2], shared: [lhs, rhs] }],
      ]),
    ),
  );

/** Sums so long, of so few results, that a device does well to split them. */
const dotLongCases = (): DotCase[] =>
  casesOf([
    [10, 10, 2003, { layouts: ['columns', 'rows'] }],
    [8, 36, 2048, { layouts: ['columns', 'rows'] }],
    [1, 1, 3001],
    [1, 2, 3001],
    [33, 17, 1025, { epilogue: { space: [33, 17], bias: 1 } }],
    [4, 8, 2000, { dtypes: ['float16', 'bfloat16', 'float16'] }],
    [4, 4, 4000, { type: 'i32' }],
    [3, 8, 35000, { layouts: ['rows', 'columns'] }],
  ]);

/** Epilogues over the dimensions of the result, and over others that make it up. */
const dotEpilogueCases = (): DotCase[] =>
  casesOf([
    [17, 29, 11, { epilogue: { space: [17, 29], bias: 1 } }],
    [17, 29, 11, { epilogue: { space: [17, 29], bias: 0 } }],
    [20, 32, 11, { epilogue: { space: [2, 10, 4, 8], bias: 2 } }],
    [10, 16, 11, { epilogue: { space: [20, 16], bias: 1 }, batch: [2] }],
    [6, 10, 3, { epilogue: { space: [4, 15], bias: 1 } }],
    [6, 10, 3, { epilogue: { space: [60], bias: 0 } }],
    [30, 1, 9, { epilogue: { space: [30], bias: 0 } }],
    [1, 1, 9, { epilogue: { space: [], bias: 0 } }],
  ]);

/** Results of 8 and 16 bits and of integers, with a residual of float16 or float32. */
const dotNarrowResultCases = (): DotCase[] =>
  casesOf(
    (['float16', 'bfloat16', 'uint8', 'bool', 'int32'] as const).flatMap((out) =>
      (
        [
          [16, 64],
          [7, 18],
          [5, 9],
          [1, 22],
        ] as const
      ).flatMap(([m, n]) =>
        (['float16', 'float32'] as const).map(
          (dtype): Listed => [
            m,
            n,
            8,
            { dtypes: ['float16', 'float32', out], epilogue: { space: [m, n], bias: 1, dtype } },
          ],
        ),
      ),
    ),
  );

/** Operands of 16 bits. */
const dotNarrowOperandCases = (): DotCase[] =>
  casesOf(
    (
      [
        [16, 64, 32],
        [19, 21, 13],
      ] as const
    ).flatMap((sizes): Listed[] => [
      [...sizes, { dtypes: ['float16', 'bfloat16', 'float32'] }],
      [...sizes, { dtypes: ['bfloat16', 'float16', 'float16'], layouts: ['columns', 'columns'] }],
      [...sizes, { dtypes: ['bfloat16', 'float16', 'bfloat16'], layouts: ['padded', 'padded'] }],
    ]),
  );

/** Integers wrap. */
const dotIntegerCases = (): DotCase[] =>
  casesOf([
    ...(['i32', 'u32'] as const).flatMap((type): Listed[] => [
      [9, 18, 7, { type }],
      [40, 33, 20, { type, layouts: ['columns', 'padded'] }],
      [12, 12, 12, { type, layouts: ['rows', 'columns'] }],
    ]),
    [16, 16, 20, { type: 'u32', dtypes: ['uint8', 'uint32', 'uint32'] }],
  ]);

/** Sums of no terms are zero, and are finished as others. */
const dotEmptyCases = (): DotCase[] =>
  casesOf([
    [3, 5, 0],
    [3, 5, 0, { epilogue: { space: [3, 5], bias: 1 } }],
  ]);

export type DotFamily =
  | 'sizes'
  | 'layouts'
  | 'large operands'
  | 'batches'
  | 'long sums'
  | 'epilogues'
  | 'narrow results'
  | 'narrow operands'
  | 'integers'
  | 'no terms'
  | 'NaN and Inf'
  | 'accuracy';

/** By what they are about. */
export const dotFamilies: Readonly<Record<DotFamily, () => DotCase[]>> = {
  sizes: dotSizeCases,
  layouts: dotLayoutCases,
  'large operands': dotLargeCases,
  batches: dotBatchCases,
  'long sums': dotLongCases,
  epilogues: dotEpilogueCases,
  'narrow results': dotNarrowResultCases,
  'narrow operands': dotNarrowOperandCases,
  integers: dotIntegerCases,
  'no terms': dotEmptyCases,
  'NaN and Inf': dotSpecialCases,
  accuracy: dotAccuracyCases,
};

/** All but the random ones. */
export const dotCases = (): DotCase[] => Object.values(dotFamilies).flatMap((cases) => cases());

const floats = ['float32', 'float16', 'bfloat16'] as const;

/** Products of anything by anything, by a seed. */
export const randomDotCases = (seed: number, count: number): DotCase[] => {
  const random = generator(seed);
  return Array.from({ length: count }, (_, i) => {
    const { sizes, options } = randomProduct(random);
    return dotCase(sizes, options, i + 1, `random product ${seed}.${i}: `);
  });
};

function randomProduct(random: () => number): { readonly sizes: DotSizes; readonly options: DotOptions } {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const size = (): number => 1 + Math.floor(random() ** 2 * 90);
  const [m, n, k] = [size(), size(), random() < 0.1 ? 600 + size() : size()];
  const batch = pick([[], [], [2], [3, 2], [1, 4]]);
  const rows = batch.reduce((a, b) => a * b, 1) * m;
  const spaces = [[rows, n], [rows * n], [...batch, m, n], [n, rows]];
  if (rows % 2 === 0) spaces.push([2, rows / 2, n]);
  const space = pick(spaces);
  const finished = random() < 0.5;
  const wide = random() < 0.75;
  const results: readonly DType[] = finished ? [...floats, 'int32', 'uint8', 'bool'] : floats;
  const options: DotOptions = {
    batch,
    type: wide ? 'f32' : 'i32',
    layouts: [pick(dotLayouts), pick(dotLayouts)],
    shared: [random() < 0.3, random() < 0.3],
    dtypes: wide ? [pick(floats), pick(floats), pick(results)] : ['int32', 'int32', 'int32'],
    ...(finished
      ? { epilogue: { space, bias: Math.floor(random() * space.length), dtype: pick(floats) } }
      : {}),
  };
  return { sizes: [m, n, k], options };
}
