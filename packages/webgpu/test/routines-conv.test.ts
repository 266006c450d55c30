import {
  type ConvCase,
  type ConvOptions,
  convAnchor,
  convCase,
  convCases,
  convEmptyCases,
  convLayers,
  convPaddingCases,
  randomConvCases,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import type { ShaderFeatures } from '../src/program.ts';
import { type ConvMethod, convRoutine } from '../src/routines/conv.ts';
import { type GemmShape, gemmShapes } from '../src/routines/conv-gemm-plan.ts';
import { candidates } from '../src/routines/index.ts';
import { hardware, software } from './support/kernels.ts';
import { checkAnchor } from './support/routines.ts';

interface Configuration {
  readonly features: ShaderFeatures;
  readonly method?: ConvMethod;
}

const both: readonly Configuration[] = [
  { features: software, method: 'tile' },
  { features: hardware, method: 'gemm' },
];
/** Few invocations and workgroups, and the choice that is made for hardware. */
const small: readonly Configuration[] = [
  { features: { ...hardware, maxInvocations: 64, maxWorkgroups: 20 } },
  { features: { ...software, maxWorkgroups: 20 } },
];

async function verify(each: ConvCase, configurations = both): Promise<void> {
  for (const { features, method } of configurations)
    await checkAnchor(each, convRoutine(each.anchor, features, method), features);
}

const layer = (name: string): ConvCase => convCase(name, convLayers[name]!);

test.concurrent.each([...convCases(), ...convPaddingCases(), ...convEmptyCases(), ...randomConvCases(24)])(
  '$name',
  { timeout: 240_000 },
  (each) => verify(each),
);

test.concurrent.each([
  'same padding',
  'kernel of one',
  'depthwise',
  'depthwise with two channels',
  'the input gradient of stride 2',
  'the kernel gradient',
  'float16 to bfloat16',
  'wide rows',
])('on a small device: %s', { timeout: 240_000 }, (name) => verify(layer(name), small));

test.concurrent.each(Object.keys(gemmShapes) as GemmShape[])('blocks of %s', { timeout: 240_000 }, (method) =>
  verify(layer('many channels'), [{ features: hardware, method }]),
);

test.concurrent.each(['same padding', 'a dilated input under a stride', 'groups', 'float16 to bfloat16'])(
  'term by term: %s',
  { timeout: 240_000 },
  (name) =>
    verify(layer(name), [
      { features: software, method: 'sparse' },
      { features: hardware, method: 'sparse' },
    ]),
);

const large: ConvOptions = {
  batch: 8,
  inChannels: 64,
  outChannels: 64,
  inSize: [56, 56],
  kernelSize: [3, 3],
  padLow: [1, 1],
};

test('on hardware, blocks are worth timing where there are many products', () => {
  const found = candidates(convAnchor(large), hardware)!;
  expect([...found.variants.keys()]).toEqual(['64x64', '128x64', '128x128', '32x128', '32x32', 'tile']);
  expect(found.key).toBe(
    'conv f32, 1 of 32768 pixels, 64 channels, 512 terms, stride 1x1, dilation 1x1, float32 by rows, float32 by rows',
  );
  expect(candidates(convAnchor({ ...large, batch: 16, swapLhs: true }), hardware)!.key).not.toBe(found.key);
  expect(candidates(convAnchor(large), software)).toBeUndefined();
  expect(candidates(convAnchor({ ...large, batch: 1, inChannels: 8 }), hardware)).toBeUndefined();
});
