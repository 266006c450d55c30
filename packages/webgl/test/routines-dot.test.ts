/** Products by routines: all forms of operands, shapes, dtypes and epilogues. */
import { simplifyDot } from '@tutti/core/backend';
import { type DotOptions, dotAnchor, dotLayouts, dotSums, generator } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { dotProgram, dotRoutine } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { checkDots, type DotCase } from './support/dot.ts';
import { pageFeatures, runPrograms } from './support/run.ts';

type Shape = readonly [m: number, n: number, k: number, options?: DotOptions];

/** The context of the page, and a GPU in its place. */
async function features(kind: 'software' | 'hardware' | 'few outputs'): Promise<ShaderFeatures> {
  const page = await pageFeatures();
  return { ...page, software: kind === 'software', maxOutputs: kind === 'few outputs' ? 2 : page.maxOutputs };
}

const caseOf = ([m, n, k, options = {}]: Shape, on: ShaderFeatures): DotCase => {
  const anchor = dotAnchor(m, n, k, options);
  return { anchor, options, program: dotProgram(simplifyDot(anchor), on)! };
};

describe.each(['software', 'hardware', 'few outputs'] as const)('products on %s', (kind) => {
  const check = async (...shapes: readonly Shape[]): Promise<void> => {
    const on = await features(kind);
    await checkDots(
      shapes.map((shape) => caseOf(shape, on)),
      generator(1),
    );
  };

  it('take all sizes', async () => {
    const sizes = [1, 2, 3, 4, 5, 8, 13, 16, 31, 64, 70];
    const random = generator(1);
    const pick = (from: readonly number[]): number => from[Math.floor(random() * from.length)]!;
    const terms = [1, 2, 3, 4, 5, 16, 33, 40];
    await check(...Array.from({ length: 24 }, (): Shape => [pick(sizes), 1 + pick(sizes), pick(terms)]));
  });

  it.each(dotLayouts)('take lhs by %s', (lhs) =>
    check(
      ...dotLayouts.flatMap((rhs): Shape[] => [
        [16, 20, 32, { layouts: [lhs, rhs] }],
        [18, 13, 45, { layouts: [lhs, rhs], batch: [2] }],
        [1, 21, 37, { layouts: [lhs, rhs] }],
      ]),
    ),
  );

  it('take operands that fill many rows of their textures', () =>
    check(
      [16, 1000, 100],
      [12, 1024, 72, { layouts: ['rows', 'rows'] }],
      [12, 1020, 72, { layouts: ['rows', 'columns'] }],
      [600, 20, 140, { layouts: ['rows', 'columns'] }],
      [600, 20, 140, { layouts: ['columns', 'rows'] }],
      [512, 16, 64, { batch: [2], layouts: ['columns', 'rows'] }],
      [20, 24, 200, { batch: [12], layouts: ['rows', 'columns'] }],
      [32, 32, 64, { batch: [10], layouts: ['rows', 'columns'] }],
      [9, 1500, 33, { layouts: ['strided', 'strided'] }],
    ));

  it('take batches, shared and not', () =>
    check(
      ...[false, true].flatMap((lhs) =>
        [false, true].flatMap((rhs): Shape[] => [
          [5, 9, 4, { batch: [3], shared: [lhs, rhs] }],
          [20, 17, 6, { batch: [2, 1, 3], shared: [lhs, rhs], layouts: ['columns', 'columns'] }],
          [8, 16, 8, { batch: [3, 2], shared: [lhs, rhs], layouts: ['rows', 'columns'] }],
          [1, 6, 7, { batch: [4, 1], shared: [lhs, rhs] }],
          [6, 1, 7, { batch: [2, 2], shared: [lhs, rhs] }],
        ]),
      ),
    ));

  it('split a long k', () =>
    check(
      [10, 10, 2003, { layouts: ['columns', 'rows'] }],
      [8, 36, 2048, { layouts: ['columns', 'rows'] }],
      [1, 2, 3001],
      [33, 17, 1025, { epilogue: { space: [33, 17], bias: 1 } }],
      [4, 8, 2000, { dtypes: ['float16', 'bfloat16', 'float16'] }],
      [4, 4, 4000, { type: 'i32' }],
      [3, 8, 35000, { layouts: ['rows', 'columns'] }],
    ));

  it('finish with an epilogue', () =>
    check(
      [17, 29, 11, { epilogue: { space: [17, 29], bias: 1 } }],
      [17, 29, 11, { epilogue: { space: [17, 29], bias: 0 } }],
      [20, 32, 11, { epilogue: { space: [2, 10, 4, 8], bias: 2 }, batch: [] }],
      [10, 16, 11, { epilogue: { space: [20, 16], bias: 1 }, batch: [2] }],
      [6, 10, 3, { epilogue: { space: [4, 15], bias: 1 } }],
      [6, 10, 3, { epilogue: { space: [60], bias: 0 } }],
      [30, 1, 9, { epilogue: { space: [30], bias: 0 } }],
    ));

  it('store narrow results', () =>
    check(
      ...(['float16', 'bfloat16', 'uint8', 'bool', 'int32'] as const).flatMap((out) =>
        (
          [
            [16, 64],
            [7, 18],
            [5, 9],
            [1, 22],
          ] as const
        ).map(
          ([m, n], i): Shape => [
            m,
            n,
            8,
            {
              dtypes: ['float16', 'float32', out],
              epilogue: { space: [m, n], bias: 1, dtype: i % 2 === 0 ? 'float16' : 'float32' },
            },
          ],
        ),
      ),
    ));

  it('load narrow operands', () =>
    check(
      ...(
        [
          [16, 64, 32],
          [19, 21, 13],
        ] as const
      ).flatMap(([m, n, k]): Shape[] => [
        [m, n, k, { dtypes: ['float16', 'bfloat16', 'float32'] }],
        [m, n, k, { dtypes: ['bfloat16', 'float16', 'float16'], layouts: ['columns', 'columns'] }],
        [m, n, k, { dtypes: ['bfloat16', 'float16', 'bfloat16'], layouts: ['padded', 'padded'] }],
      ]),
    ));

  it('wrap integers', () =>
    check(
      ...(['i32', 'u32'] as const).flatMap((type): Shape[] => [
        [9, 18, 7, { type }],
        [40, 33, 20, { type, layouts: ['columns', 'padded'] }],
        [12, 12, 12, { type, layouts: ['rows', 'columns'] }],
      ]),
      [16, 16, 20, { type: 'u32', dtypes: ['uint8', 'uint32', 'uint32'] }],
    ));

  it('are zero where k is zero, and nothing where there is nothing', async () => {
    const on = await features(kind);
    const made = [
      [3, 5, 0],
      [3, 5, 0, { epilogue: { space: [3, 5], bias: 1 } }],
    ] as const satisfies readonly Shape[];
    const cases = made.map(([m, n, k, options]: Shape): DotCase => {
      const anchor = dotAnchor(m, n, k, options);
      return { anchor, options: options ?? {}, program: dotRoutine(anchor, on)! };
    });
    await checkDots(cases, generator(1));
    for (const [m, n] of [
      [0, 4],
      [4, 0],
    ] as const)
      expect(routine(dotAnchor(m, n, 3), on)!.stages).toEqual([]);
  });

  it('keep NaN and Inf in their rows and columns', async () => {
    const on = await features(kind);
    const [m, n] = [21, 19];
    const ks = [6, 7, 8, 33];
    const made = ks.flatMap((k) =>
      (['rows', 'columns'] as const).map((layout) => {
        const anchor = dotAnchor(m, n, k, { layouts: [layout, layout] });
        const lhs = new Float32Array(m * k).fill(1);
        const rhs = new Float32Array(k * n).fill(1);
        const { lhs: a, rhs: b } = anchor;
        lhs[20 * a.row + (k - 1) * a.column] = Number.NaN;
        lhs[3 * a.row] = Number.POSITIVE_INFINITY;
        rhs[(k - 1) * b.row + 18 * b.column] = Number.NEGATIVE_INFINITY;
        const program = dotProgram(simplifyDot(anchor), on)!;
        return { k, program, buffers: anchor.buffers, contents: [lhs, rhs, new Float32Array(m * n)] };
      }),
    );
    const results = await runPrograms(made);
    for (const [at, { k }] of made.entries()) {
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < n; j++) {
          const row = i === 20 ? Number.NaN : i === 3 ? Number.POSITIVE_INFINITY : k / 2;
          const column = j === 18 ? Number.NEGATIVE_INFINITY : k / 2;
          expect(results[at]![2]![i * n + j], `${k}: ${i}, ${j}`).toBe(row + column);
        }
      }
    }
  });

  it('are as exact as float32 allows', async () => {
    const random = generator(4);
    const [m, n, k] = [50, 40, 700];
    const anchor = dotAnchor(m, n, k, { layouts: ['rows', 'columns'] });
    const lhs = Float32Array.from({ length: m * k }, () => random() * 2 - 1);
    const rhs = Float32Array.from({ length: k * n }, () => random() * 2 - 1);
    const program = dotRoutine(anchor, await features(kind))!;
    const contents = [lhs, rhs, new Float32Array(m * n)];
    const [result] = await runPrograms([{ program, buffers: anchor.buffers, contents }]);
    const want = dotSums(anchor, lhs, rhs);
    const magnitudes = dotSums(anchor, lhs.map(Math.abs), rhs.map(Math.abs));
    for (const [i, sum] of want.entries()) {
      const most = 2 ** -24 * (4 + k / 2) * magnitudes[i]!;
      expect(Math.abs(result![2]![i]! - sum), `element ${i}`).toBeLessThan(most);
    }
  });
});

const floats = ['float32', 'float16', 'bfloat16'] as const;

function randomProduct(random: () => number): Shape {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const size = (): number => 1 + Math.floor(random() ** 2 * 90);
  const [m, n, k] = [size(), 1 + size(), random() < 0.1 ? 600 + size() : size()];
  const batch = pick([[], [], [2], [3, 2], [1, 4]]);
  const rows = batch.reduce((a, b) => a * b, 1) * m;
  const spaces = [[rows, n], [rows * n], [...batch, m, n], [n, rows]];
  if (rows % 2 === 0) spaces.push([2, rows / 2, n]);
  const space = pick(spaces);
  const finished = random() < 0.5;
  const wide = random() < 0.75;
  const results = finished ? ([...floats, 'int32', 'uint8', 'bool'] as const) : floats;
  return [
    m,
    n,
    k,
    {
      batch,
      type: wide ? 'f32' : 'i32',
      layouts: [pick(dotLayouts), pick(dotLayouts)],
      shared: [random() < 0.3, random() < 0.3],
      dtypes: wide ? [pick(floats), pick(floats), pick(results)] : ['int32', 'int32', 'int32'],
      ...(finished
        ? { epilogue: { space, bias: Math.floor(random() * space.length), dtype: pick(floats) } }
        : {}),
    },
  ];
}

it.each([
  ['software', 1],
  ['hardware', 2],
  ['few outputs', 3],
] as const)('random products on %s', { timeout: 120_000 }, async (kind, seed) => {
  const random = generator(seed);
  const on = await features(kind);
  const shapes = Array.from({ length: 24 }, () => randomProduct(random));
  await checkDots(
    shapes.map((shape) => caseOf(shape, on)),
    random,
  );
});

describe('what is not taken', () => {
  const declined = async (anchor: Parameters<typeof dotRoutine>[0]): Promise<boolean> =>
    routine(anchor, await pageFeatures()) === undefined;

  it('small products, and short sums', async () => {
    expect(await declined(dotAnchor(8, 8, 8))).toBe(true);
    expect(await declined(dotAnchor(200, 200, 4))).toBe(true);
  });

  it('a few rows times what would be written anew', async () => {
    expect(await declined(dotAnchor(1, 512, 512, { dtypes: ['float32', 'float16', 'float32'] }))).toBe(true);
    expect(await declined(dotAnchor(1, 511, 512))).toBe(true);
    expect(await declined(dotAnchor(1, 512, 512))).toBe(false);
  });

  it('epilogues that read more than a stage can', async () => {
    const on = { ...(await pageFeatures()), maxInputs: 8 };
    const options = { epilogue: { space: [32, 32], bias: 1 } };
    expect(routine(dotAnchor(32, 32, 32, options), on)).toBeUndefined();
    expect(routine(dotAnchor(32, 32, 32), on)).toBeDefined();
  });
});
