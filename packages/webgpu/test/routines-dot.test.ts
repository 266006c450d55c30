import { type DotOptions, dotAnchor, dotLayouts, generator } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { type DotVariant, dotRoutine } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { make } from './support/device.ts';
import { checkDot } from './support/dot.ts';
import { hardware, runProgram, software } from './support/kernels.ts';

const quads: ShaderFeatures = { ...software, subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 4 };
const folded: ShaderFeatures = { ...hardware, maxInvocations: 64, maxWorkgroups: 3 };

interface Case extends DotOptions {
  readonly variant?: DotVariant;
  readonly seed?: number;
}

async function checkOn(
  features: ShaderFeatures,
  [m, n, k]: readonly [number, number, number],
  options: Case = {},
): Promise<void> {
  const anchor = dotAnchor(m, n, k, options);
  const program = dotRoutine(anchor, features, options.variant)!;
  for (const { workgroups, bindings } of program.stages) {
    expect(Math.max(...workgroups)).toBeLessThanOrEqual(features.maxWorkgroups);
    expect(bindings.length).toBeLessThanOrEqual(features.maxStorageBuffers);
  }
  await checkDot(await make(), anchor, program, options, generator(options.seed ?? 1));
}

/** One NaN and an Inf in lhs and one in rhs, in the last row, column or step, where tiles are padded. */
async function checkSpecial(features: ShaderFeatures, variant?: DotVariant): Promise<void> {
  const anchor = dotAnchor(21, 19, 6);
  const lhs = new Float32Array(21 * 6).fill(1);
  const rhs = new Float32Array(6 * 19).fill(1);
  lhs[20 * 6 + 5] = Number.NaN;
  lhs[3 * 6] = Number.POSITIVE_INFINITY;
  rhs[5 * 19 + 18] = Number.NEGATIVE_INFINITY;
  const program = dotRoutine(anchor, features, variant)!;
  const result = new Float32Array(21 * 19);
  const [, , out] = await runProgram(await make(), anchor, program, [lhs, rhs, result]);
  for (let i = 0; i < 21; i++) {
    for (let j = 0; j < 19; j++) {
      const row = i === 20 ? Number.NaN : i === 3 ? Number.POSITIVE_INFINITY : 3;
      const column = j === 18 ? Number.NEGATIVE_INFINITY : 3;
      expect(out![i * 19 + j], `${i}, ${j}`).toBe(row + column);
    }
  }
}

/** Tiles in workgroup memory take long to compile in software, so there are few of them. */
describe('products through workgroup memory', () => {
  const timeout = 240_000;
  const check = (
    sizes: readonly [number, number, number],
    options?: Case,
    features = hardware,
  ): Promise<void> => checkOn(features, sizes, options);

  it('take all layouts', { timeout }, async () => {
    await check([70, 37, 18]);
    await check([36, 40, 24], { batch: [2], layouts: ['rows', 'columns'] });
    await check([40, 36, 24], { batch: [2, 2], shared: [false, true], layouts: ['columns', 'padded'] });
    await check([20, 24, 21], { layouts: ['padded', 'padded'] });
    await check([17, 21, 19], { layouts: ['strided', 'columns'] });
    await check([17, 21, 19], { layouts: ['columns', 'strided'] });
    await check([16, 32, 16], { layouts: ['same row', 'same column'] });
  });

  it('take tiles of all shapes', { timeout }, async () => {
    await check([64, 128, 32], {
      variant: 'large',
      dtypes: ['float32', 'float32', 'bfloat16'],
      epilogue: { space: [64, 128], bias: 1, dtype: 'float16' },
    });
    await check([65, 66, 17], { variant: 'large', layouts: ['columns', 'columns'] });
    await check([5, 130, 20], { batch: [2] });
    await check([130, 5, 20], { epilogue: { space: [13, 10, 5], bias: 0 } });
  });

  it('fold their grid', { timeout }, () => check([70, 70, 40], { variant: 'small' }, folded));

  it('split a long k', { timeout }, async () => {
    await check([33, 17, 1025], { epilogue: { space: [33, 17], bias: 1 } });
    await check([8, 36, 2048], { layouts: ['columns', 'rows'], dtypes: ['float16', 'float32', 'float16'] });
  });

  it('have one row or one column', { timeout }, async () => {
    await check([1, 21, 37], { layouts: ['rows', 'columns'], epilogue: { space: [21], bias: 0 } });
    await check([30, 1, 9], { batch: [3, 2], shared: [true, false] });
    await check([1, 12, 9], { batch: [2, 3], epilogue: { space: [3, 24], bias: 1 } });
    await check([1, 12, 9], { batch: [2, 3], epilogue: { space: [6, 3, 4], bias: 1 } });
    await check([1, 1, 1000]);
  });

  it('load narrow operands', { timeout }, async () => {
    await check([32, 32, 16], { dtypes: ['float16', 'bfloat16', 'float16'], layouts: ['rows', 'columns'] });
    await check([19, 21, 13], { dtypes: ['bfloat16', 'float16', 'float32'] });
  });

  it('wrap integers', { timeout }, () => check([20, 33, 20], { type: 'i32' }));

  it('keep NaN and Inf in their rows and columns', { timeout }, () => checkSpecial(hardware));

  it('leave to others what a device has no memory for', () => {
    const poor: ShaderFeatures = { ...hardware, maxWorkgroupBytes: 2048 };
    expect(routine(dotAnchor(100, 100, 100), poor)!.source()).toContain('direct');
  });
});

describe.each(Object.entries({ software, quads }))('products on %s', (_, features) => {
  const check = (m: number, n: number, k: number, options?: Case): Promise<void> =>
    checkOn(features, [m, n, k], options);

  it('take all sizes', async () => {
    const random = generator(1);
    const sizes = [1, 2, 3, 4, 5, 8, 13, 16, 31, 64, 70];
    for (let round = 0; round < 14; round++) {
      const pick = (): number => sizes[Math.floor(random() * sizes.length)]!;
      await check(pick(), pick(), [1, 2, 3, 4, 5, 16, 33, 40][Math.floor(random() * 8)]!, { seed: round });
    }
  });

  it('take all layouts', async () => {
    for (const lhs of dotLayouts) {
      const rhs = dotLayouts[(dotLayouts.indexOf(lhs) + 1) % dotLayouts.length]!;
      await check(20, 24, 12, { layouts: [lhs, rhs] });
      await check(17, 21, 7, { layouts: [rhs, lhs] });
      await check(1, 21, 37, { layouts: [lhs, rhs] });
    }
  });

  it('take batches, shared and not', async () => {
    for (const [sharedA, sharedB] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const shared = [sharedA, sharedB] as const;
      await check(5, 9, 4, { batch: [3], shared });
      await check(20, 17, 6, { batch: [2, 1, 3], shared, layouts: ['columns', 'columns'] });
      await check(1, 6, 7, { batch: [4, 1], shared });
      await check(6, 1, 7, { batch: [2, 2], shared });
    }
  });

  it('split a long k', async () => {
    await check(10, 10, 2003, { layouts: ['columns', 'rows'] });
    await check(1, 1, 3001);
    await check(33, 17, 1025, { epilogue: { space: [33, 17], bias: 1 } });
    await check(4, 8, 2000, { dtypes: ['float16', 'bfloat16', 'float16'] });
  });

  it('finish with an epilogue', async () => {
    await check(17, 29, 11, { epilogue: { space: [17, 29], bias: 1 } });
    await check(17, 29, 11, { epilogue: { space: [17, 29], bias: 0 } });
    await check(20, 32, 11, { epilogue: { space: [2, 10, 4, 8], bias: 2 }, batch: [] });
    await check(10, 16, 11, { epilogue: { space: [20, 16], bias: 1 }, batch: [2] });
    await check(6, 10, 3, { epilogue: { space: [4, 15], bias: 1 } });
    await check(6, 10, 3, { epilogue: { space: [60], bias: 0 } });
    await check(30, 1, 9, { epilogue: { space: [30], bias: 0 } });
    await check(1, 1, 9, { epilogue: { space: [], bias: 0 } });
  });

  it('store narrow results', async () => {
    const random = generator(2);
    for (const out of ['float16', 'bfloat16', 'uint8', 'bool', 'int32'] as const) {
      for (const [m, n] of [
        [16, 64],
        [7, 18],
        [5, 9],
        [1, 22],
      ] as const) {
        const dtype = random() < 0.5 ? 'float16' : 'float32';
        await check(m, n, 8, {
          dtypes: ['float16', 'float32', out],
          epilogue: { space: [m, n], bias: 1, dtype },
        });
      }
    }
  });

  it('load narrow operands', async () => {
    for (const [m, n, k] of [
      [16, 64, 32],
      [19, 21, 13],
    ] as const) {
      await check(m, n, k, { dtypes: ['float16', 'bfloat16', 'float32'] });
      await check(m, n, k, { dtypes: ['bfloat16', 'float16', 'float16'], layouts: ['columns', 'columns'] });
      await check(m, n, k, { dtypes: ['bfloat16', 'float16', 'bfloat16'], layouts: ['padded', 'padded'] });
    }
  });

  it('wrap integers', async () => {
    for (const type of ['i32', 'u32'] as const) {
      await check(9, 18, 7, { type });
      await check(40, 33, 20, { type, layouts: ['columns', 'padded'] });
    }
  });

  it('are zero where k is zero, and nothing where there is nothing', async () => {
    await check(3, 5, 0);
    await check(3, 5, 0, { epilogue: { space: [3, 5], bias: 1 } });
    for (const [m, n] of [
      [0, 4],
      [4, 0],
    ] as const)
      expect(routine(dotAnchor(m, n, 3), features)!.stages).toEqual([]);
  });

  it('keep NaN and Inf in their rows and columns', () => checkSpecial(features));
});
