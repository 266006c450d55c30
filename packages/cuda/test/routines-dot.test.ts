/** Matrix products: every variant, at odd sizes, in all layouts, with epilogues. */
import { type DotAnchor, simplifyDot } from '@tutti/core/backend';
import {
  type DotCase,
  type DotLayout,
  type DotOptions,
  dotAnchor,
  dotCase,
  dotFamilies,
  randomDotCases,
} from '@tutti/core/testing';
import { describe, expect, it, test } from 'vitest';
import type { CudaFeatures, CudaProgram } from '../src/program.ts';
import { type DotVariant, dotRoutine, dotVariants, tensorFormat } from '../src/routines/dot.ts';
import { mmaShapes, simtShapes } from '../src/routines/dot-plan.ts';
import { routine } from '../src/routines/index.ts';
import { make } from './support/device.ts';
import { emulated, hopper } from './support/features.ts';
import { checkRoutines, rounding, turing } from './support/routines.ts';

const simt = Object.keys(simtShapes).map((name) => `simt ${name}` as DotVariant);
const mma = Object.keys(mmaShapes).map((name) => `mma ${name}` as DotVariant);
const rows = ['row warp', 'row block', 'row columns'] as const;
const timeout = 120_000;

/** A product, and how it is to be computed. */
type Forced = readonly [m: number, n: number, k: number, options?: DotOptions];

async function check(
  variant: DotVariant,
  products: readonly Forced[],
  features: CudaFeatures = hopper,
): Promise<void> {
  const cases = products.map(([m, n, k, options]) => dotCase([m, n, k], options));
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    dotRoutine(anchor, features, variant),
  ]);
}

/** Sizes that end within a tile, operands in all orders, and an epilogue. */
const forced = (options: DotOptions = {}): Forced[] => {
  const layouts: readonly (readonly [DotLayout, DotLayout])[] = [
    ['rows', 'rows'],
    ['columns', 'columns'],
    ['padded', 'columns'],
    ['columns', 'padded'],
  ];
  const sizes = [
    [70, 36, 24],
    [40, 72, 40],
    [136, 24, 35],
    [16, 304, 80],
  ] as const;
  return sizes.map(([m, n, k], i) => {
    const epilogue = { space: [m, n], bias: 1, dtype: 'float16' } as const;
    return [m, n, k, { ...options, layouts: layouts[i]!, epilogue }];
  });
};

describe('on CUDA cores', () => {
  it.each(simt)('%s', { timeout }, (variant) =>
    check(variant, [
      ...forced(),
      [40, 36, 24, { batch: [2, 3], shared: [false, true], layouts: ['strided', 'columns'] }],
      [35, 33, 20, { type: 'i32', layouts: ['columns', 'strided'] }],
      [33, 36, 25, { dtypes: ['float16', 'bfloat16', 'float16'], layouts: ['rows', 'columns'] }],
    ]),
  );
});

describe('on tensor cores', () => {
  const types = ['float16', 'bfloat16', 'float32'] as const;
  it.each(mma.flatMap((variant) => types.map((dtype) => [variant, dtype] as const)))(
    '%s of %s',
    { timeout },
    (variant, dtype) => {
      const dtypes = [dtype, dtype, dtype] as const;
      const scattered: Forced = [41, 37, 23, { dtypes, batch: [2], layouts: ['strided', 'columns'] }];
      return check(variant, [...forced({ dtypes }), scattered], rounding);
    },
  );

  it.each(mma.filter((name) => name !== 'mma 128x256'))('%s before sm_80', { timeout }, (variant) => {
    const dtypes = ['float16', 'float16', 'float32'] as const;
    const products: Forced[] = [
      [70, 36, 24, { dtypes, layouts: ['rows', 'columns'] }],
      [37, 72, 40, { dtypes, layouts: ['columns', 'rows'] }],
    ];
    return check(variant, products, turing);
  });
});

describe('with one row', () => {
  const halves = ['float16', 'float16', 'float16'] as const;
  it.each(rows)('%s', { timeout }, (variant) =>
    check(variant, [
      [1, 37, 300, { layouts: ['rows', 'columns'], epilogue: { space: [37], bias: 0 } }],
      [1, 300, 37, { layouts: ['rows', 'rows'], epilogue: { space: [300], bias: 0 } }],
      [1, 40, 64, { dtypes: ['float16', 'bfloat16', 'bfloat16'], layouts: ['rows', 'columns'] }],
      [1, 40, 64, { dtypes: halves, layouts: ['padded', 'padded'] }],
      [1, 21, 30, { batch: [3], layouts: ['strided', 'strided'] }],
      [30, 1, 9, { batch: [3, 2], shared: [true, false] }],
      [1, 9, 70, { type: 'i32' }],
      [1, 8, 9000, { layouts: ['rows', 'rows'], epilogue: { space: [8], bias: 0 } }],
      [1, 8, 9000, { layouts: ['rows', 'columns'], dtypes: halves }],
    ]),
  );
});

test('a long contraction is cut into parts', { timeout }, async () => {
  const halves = ['float16', 'float16', 'float16'] as const;
  await check('simt 32x32', [[33, 17, 1025, { epilogue: { space: [33, 17], bias: 1 } }]]);
  await check('simt 64x64', [[36, 20, 1100, { layouts: ['columns', 'rows'] }]]);
  await check('simt 16x256', [[9, 20, 1030, { type: 'i32', batch: [2] }]]);
  await check('mma 32x64', [[33, 24, 1040, { dtypes: halves, epilogue: { space: [33, 24], bias: 0 } }]]);
});

const families = { ...dotFamilies, 'random products': () => randomDotCases(1, 40) };

/** One of the variants that take it, by no rule that a test could follow. */
function oneOf(anchor: DotAnchor, i: number): CudaProgram | undefined {
  const features = [hopper, turing][i % 2]!;
  const product = simplifyDot(anchor);
  const able = tensorFormat(product, features)
    ? [...mma.slice(1), 'direct' as const]
    : [...simt, 'direct' as const];
  const variants = product.m === 1 ? [...rows, ...able] : able;
  return dotRoutine(anchor, features, variants[(Math.imul(i + 1, 0x9e3779b1) >>> 8) % variants.length]);
}

test.each(Object.entries(families))('%s', { timeout }, async (_, cases) => {
  const list = cases();
  const numbers = new Map<DotCase, number>(list.map((each, i) => [each, i]));
  await checkRoutines(await make({ cache: 'off' }), list, (each) => [oneOf(each.anchor, numbers.get(each)!)]);
});

test('without shared memory, everything is taken: one in four layouts, integers and special values', {
  timeout,
}, async () => {
  const cases = [dotFamilies.layouts, dotFamilies.integers, dotFamilies['NaN and Inf']]
    .flatMap((each) => each())
    .filter((_, i) => i % 4 === 0);
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    dotRoutine(anchor, emulated, 'direct'),
  ]);
});

test('nothing runs where there is nothing', () => {
  expect(routine(dotAnchor(0, 4, 3), hopper)!.stages).toEqual([]);
  expect(routine(dotAnchor(4, 0, 3), hopper)!.stages).toEqual([]);
});

test('the choice follows the shape', () => {
  const best = (m: number, n: number, k: number, options: DotOptions = {}, features = hopper): string =>
    dotVariants(simplifyDot(dotAnchor(m, n, k, options)), features)[0]!;
  const half = { dtypes: ['bfloat16', 'bfloat16', 'bfloat16'] } as const;
  expect(best(4096, 4096, 4096)).toBe('simt 128x128');
  expect(best(4096, 4096, 4096, half)).toBe('mma 128x256');
  expect(best(4096, 4096, 4096, {}, rounding)).toBe('mma 128x256');
  expect(best(8, 8192, 4096, half)).toBe('mma 16x128');
  expect(best(8192, 8, 4096)).toBe('simt 256x16');
  expect(best(1, 8192, 4096, { layouts: ['rows', 'columns'] })).toBe('row warp');
  expect(best(1, 8192, 4096)).toBe('row columns');
  expect(best(8, 8, 8)).toBe('direct');
  expect(best(128, 128, 128, {}, emulated)).toBe('direct');
});
