/** Convolutions and both of their gradients by routines. */
import {
  type ConvCase,
  type ConvOptions,
  convAnchor,
  convCases,
  convEmptyCases,
  convPaddingCases,
  randomConvCases,
} from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import type { GlslProgram } from '../src/program.ts';
import { convProgram, convRoutine } from '../src/routines/conv.ts';
import { productOf } from '../src/routines/conv-product.ts';
import { dotProgram } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { checkRoutines } from './support/routines.ts';
import { pageFeatures } from './support/run.ts';

/** As a convolution and, where it is one, as a matrix product; on the context of the page, and on GPUs in its place. */
async function programsOf({ anchor }: ConvCase): Promise<(GlslProgram | undefined)[]> {
  const page = await pageFeatures();
  const kinds = [{}, { software: false }, { software: false, maxOutputs: 2 }];
  return kinds.flatMap((kind) => {
    const features = { ...page, ...kind };
    const found = productOf(anchor);
    return [
      convProgram(anchor, features),
      ...(found ? [dotProgram(found.product, features, found.summed)] : []),
    ];
  });
}

/** More than three axes, and more lattices than there are routines for. */
const declined = ['four axes', 'the input gradient of patches'];
const isDeclined = ({ name }: ConvCase): boolean =>
  declined.some((each) => name === each || name.startsWith(`${each},`));

test.each(
  [...convCases(), ...convPaddingCases(), ...randomConvCases(24)].filter((each) => !isDeclined(each)),
)('$name', async (example) => {
  const programs = await programsOf(example);
  await checkRoutines(
    programs.map((program) => {
      if (!program) expect.fail('no routine');
      return { example, program };
    }),
  );
});

test.each(convEmptyCases())('$name', async (example) => {
  const program = convRoutine(example.anchor, await pageFeatures());
  if (!program) expect.fail('no routine');
  await checkRoutines([{ example, program }]);
});

describe('what is not taken', () => {
  const isLeft = async (options: ConvOptions): Promise<boolean> =>
    routine(convAnchor(options), await pageFeatures()) === undefined;
  const layer = { batch: 8, inChannels: 4, outChannels: 8, inSize: [9, 9], kernelSize: [3, 3] };

  test('small convolutions', async () => {
    expect(await isLeft(layer)).toBe(false);
    expect(await isLeft({ ...layer, batch: 1, inSize: [4, 4] })).toBe(true);
    expect(await isLeft({ ...layer, batch: 50, inChannels: 2, kernelSize: [1, 1] })).toBe(true);
  });

  test('more than three axes, and many lattices', async () => {
    expect(await isLeft({ ...layer, inSize: [5, 5, 5, 5], kernelSize: [3, 3, 3, 3] })).toBe(true);
    const patches = { inSize: [6, 6], kernelSize: [8, 8], padLow: [7, 7], inputDilation: [8, 8] };
    expect(await isLeft({ ...layer, ...patches })).toBe(true);
    const cases = convCases().filter(isDeclined);
    expect(cases).toHaveLength(declined.length);
    for (const each of cases)
      expect((await programsOf(each)).filter((program) => program !== undefined)).toEqual([]);
  });

  test('integers', async () => {
    const anchor = { ...convAnchor(layer), type: 'i32' as const };
    expect(routine(anchor, await pageFeatures())).toBeUndefined();
  });
});
