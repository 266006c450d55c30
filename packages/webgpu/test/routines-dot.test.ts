import { type DotCase, dotAnchor, dotCase, dotCases, dotFamilies, randomDotCases } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { type DotVariant, dotRoutine } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { hardware, software } from './support/kernels.ts';
import { checkAnchor } from './support/routines.ts';

const quads: ShaderFeatures = { ...software, subgroups: true, subgroupMinSize: 4, subgroupMaxSize: 4 };
const folded: ShaderFeatures = { ...hardware, maxInvocations: 64, maxWorkgroups: 3 };

const check = (each: DotCase, features: ShaderFeatures, variant?: DotVariant): Promise<void> =>
  checkAnchor(each, dotRoutine(each.anchor, features, variant), features);

/** Tiles in workgroup memory take long to compile in software, so there are few of them. */
describe('products through workgroup memory', () => {
  it.concurrent.each([
    // All layouts
    dotCase([70, 37, 18]),
    dotCase([36, 40, 24], { batch: [2], layouts: ['rows', 'columns'] }),
    dotCase([40, 36, 24], { batch: [2, 2], shared: [false, true], layouts: ['columns', 'padded'] }),
    dotCase([20, 24, 21], { layouts: ['padded', 'padded'] }),
    dotCase([17, 21, 19], { layouts: ['strided', 'columns'] }),
    dotCase([17, 21, 19], { layouts: ['columns', 'strided'] }),
    dotCase([16, 32, 16], { layouts: ['same row', 'same column'] }),
    // Tiles of all shapes
    dotCase([5, 130, 20], { batch: [2] }),
    dotCase([130, 5, 20], { epilogue: { space: [13, 10, 5], bias: 0 } }),
    // A long k is split
    dotCase([33, 17, 1025], { epilogue: { space: [33, 17], bias: 1 } }),
    dotCase([8, 36, 2048], { layouts: ['columns', 'rows'], dtypes: ['float16', 'float32', 'float16'] }),
    // One row or one column
    dotCase([1, 21, 37], { layouts: ['rows', 'columns'], epilogue: { space: [21], bias: 0 } }),
    dotCase([30, 1, 9], { batch: [3, 2], shared: [true, false] }),
    dotCase([1, 12, 9], { batch: [2, 3], epilogue: { space: [3, 24], bias: 1 } }),
    dotCase([1, 12, 9], { batch: [2, 3], epilogue: { space: [6, 3, 4], bias: 1 } }),
    dotCase([1, 1, 1000]),
    // Narrow operands, integers, and floats
    dotCase([32, 32, 16], { dtypes: ['float16', 'bfloat16', 'float16'], layouts: ['rows', 'columns'] }),
    dotCase([19, 21, 13], { dtypes: ['bfloat16', 'float16', 'float32'] }),
    dotCase([20, 33, 20], { type: 'i32' }),
    ...dotFamilies['NaN and Inf'](),
    ...dotFamilies.accuracy(),
    ...randomDotCases(3, 5),
  ])('$name', { timeout: 240_000 }, (each) => check(each, hardware));

  it.concurrent.each([
    dotCase([64, 128, 32], {
      dtypes: ['float32', 'float32', 'bfloat16'],
      epilogue: { space: [64, 128], bias: 1, dtype: 'float16' },
    }),
    dotCase([65, 66, 17], { layouts: ['columns', 'columns'] }),
  ])('in large tiles: $name', { timeout: 240_000 }, (each) => check(each, hardware, 'large'));

  it('fold their grid', { timeout: 240_000 }, () => check(dotCase([70, 70, 40]), folded, 'small'));

  it('leave to others what a device has no memory for', () => {
    const poor: ShaderFeatures = { ...hardware, maxWorkgroupBytes: 2048 };
    expect(routine(dotAnchor(100, 100, 100), poor)!.source()).toContain('direct');
  });
});

describe.each([
  ['software', software, randomDotCases(1, 16)],
  ['quads', quads, randomDotCases(2, 24)],
] as const)('products on %s', (_, features, random) => {
  it.concurrent.each([...dotCases(), ...random])('$name', { timeout: 240_000 }, (each) =>
    check(each, features),
  );

  it('are nothing where there is nothing', () => {
    for (const [m, n] of [
      [0, 4],
      [4, 0],
    ] as const)
      expect(routine(dotAnchor(m, n, 3), features)!.stages).toEqual([]);
  });
});
