/** Products by routines: all forms of operands, shapes, dtypes and epilogues. */
import { simplifyDot } from '@tutti/core/backend';
import { type DotCase, dotAnchor, dotFamilies, randomDotCases } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { dotProgram, dotRoutine } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { checkRoutines, type RoutineRun } from './support/routines.ts';
import { pageFeatures } from './support/run.ts';

/** The context of the page, and a GPU in its place. */
async function features(kind: 'software' | 'hardware' | 'few outputs'): Promise<ShaderFeatures> {
  const page = await pageFeatures();
  return { ...page, software: kind === 'software', maxOutputs: kind === 'few outputs' ? 2 : page.maxOutputs };
}

/** By the routine, whether it would be chosen or not. */
function runOf(example: DotCase, on: ShaderFeatures): RoutineRun {
  const program = dotProgram(simplifyDot(example.anchor), on);
  if (!program) expect.fail(`no routine for ${example.name}`);
  return { example, program };
}

/** A single sum is a kernel like any other. */
const isSingle = ({ anchor }: DotCase): boolean => anchor.buffers[2]!.length === 1;

const { 'no terms': empty, ...families } = dotFamilies;

describe.each([
  ['software', 1],
  ['hardware', 2],
  ['few outputs', 3],
] as const)('products on %s', (kind, seed) => {
  it.each([
    ...Object.entries(families).map(([name, cases]) => [name, cases()] as const),
    ['random products', randomDotCases(seed, 24)] as const,
  ])('%s', { timeout: 120_000 }, async (_, cases) => {
    const on = await features(kind);
    const taken = cases.filter((each) => !isSingle(each));
    await checkRoutines(taken.map((each) => runOf(each, on)));
  });

  it('are zero where k is zero, and nothing where there is nothing', async () => {
    const on = await features(kind);
    await checkRoutines(empty().map((example) => ({ example, program: dotRoutine(example.anchor, on)! })));
    for (const [m, n] of [
      [0, 4],
      [4, 0],
    ] as const)
      expect(routine(dotAnchor(m, n, 3), on)!.stages).toEqual([]);
  });
});

describe('what is not taken', () => {
  const declined = async (anchor: Parameters<typeof dotRoutine>[0]): Promise<boolean> =>
    routine(anchor, await pageFeatures()) === undefined;

  it('small products, and short sums', async () => {
    expect(await declined(dotAnchor(8, 8, 8))).toBe(true);
    expect(await declined(dotAnchor(200, 200, 4))).toBe(true);
  });

  it('single sums', async () => {
    const single = [...families['long sums'](), ...families.epilogues()].filter(isSingle);
    expect(single).toHaveLength(2);
    for (const { anchor } of single)
      expect(dotProgram(simplifyDot(anchor), await pageFeatures())).toBeUndefined();
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
