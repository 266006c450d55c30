/** Convolutions and their gradients: every variant, all layers. */
import { type ConvAnchor, convParts, type DType } from '@tutti/core/backend';
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
import type { CudaFeatures } from '../src/program.ts';
import { type ConvVariant, convRoutine, convVariants } from '../src/routines/conv.ts';
import { mmaShapes, simtShapes } from '../src/routines/dot-plan.ts';
import { make } from './support/device.ts';
import { emulated, hopper } from './support/features.ts';
import { checkRoutines, rounding, turing } from './support/routines.ts';

const simt = Object.keys(simtShapes).map((name) => `simt ${name}` as ConvVariant);
const mma = Object.keys(mmaShapes)
  .filter((name) => name !== '128x256')
  .map((name) => `mma ${name}` as ConvVariant);
const timeout = 240_000;

/** By one of the variants each, by no rule that a test could follow. */
async function check(
  cases: readonly ConvCase[],
  variants: readonly ConvVariant[],
  features: CudaFeatures = hopper,
): Promise<void> {
  const chosen = new Map(
    cases.map((each, i) => [each, variants[(Math.imul(i + 1, 0x9e3779b1) >>> 8) % variants.length]!]),
  );
  await checkRoutines(await make({ cache: 'off' }), cases, (each) => [
    convRoutine(each.anchor, features, chosen.get(each)!),
  ]);
}

const of = (names: readonly string[], dtype?: DType): ConvCase[] =>
  names.map((name) => {
    const options = convLayers[name]!;
    return convCase(name, dtype ? { ...options, dtypes: [dtype, dtype, dtype] } : options);
  });

const several = [
  'same padding',
  'many channels',
  'the input gradient of stride 2',
  'the kernel gradient with padding, summed in parts',
  'a group with a remainder of everything',
  'other layouts',
];

test.each(simt)('%s', { timeout }, (variant) => check(of(several), [variant]));

test.each(mma)('%s', { timeout }, async (variant) => {
  await check(of(several, 'float16'), [variant]);
  await check(of(several.slice(2, 4), 'bfloat16'), [variant]);
  await check(of(several.slice(1, 3), 'float16'), [variant], turing);
});

test('all layers, a thread for each result', { timeout }, () => check(convCases(), ['direct']));

test('all layers by tiles', { timeout }, () => check(convCases(), simt));

test('all layers by tiles of 16-bit floats', { timeout }, () =>
  check(of(Object.keys(convLayers), 'bfloat16'), mma),
);

test('a block for each result', { timeout }, () =>
  check(
    of(['plain', 'the kernel gradient of a depthwise layer', 'groups', 'float16 to bfloat16', 'three axes']),
    ['reduce'],
  ),
);

test('padding adds no term, whatever the kernel holds', { timeout }, () =>
  check(convPaddingCases(), [...simt, 'direct', 'reduce']),
);

test('empty sums and empty results', () => check(convEmptyCases(), ['simt 32x32']));

test('random convolutions', { timeout }, () => check(randomConvCases(40), [...simt, 'direct', 'reduce']));

/** Operands of small integers are what they are in TF32. */
test.each(mma)('%s of float32 rounds nothing that TF32 holds', { timeout }, async (variant) => {
  const cases = of(several).map((each): ConvCase => {
    const half = convCase(each.name, {
      ...convLayers[each.name]!,
      dtypes: ['float16', 'float16', 'float32'],
    });
    return widened(half, each);
  });
  await check(cases, [variant], rounding);
});

/** A case of float16 operands with the same numbers in float32. */
function widened(half: ConvCase, wide: ConvCase): ConvCase {
  const contents: ConvCase['contents'] = () => {
    const [lhs, rhs, ...rest] = half.contents();
    const f32 = (bits: ArrayLike<number>): Float32Array => Float32Array.from(bits, (each) => fromHalf(each));
    return [f32(lhs!), f32(rhs!), ...rest];
  };
  return { ...half, anchor: wide.anchor, contents };
}

/** The value of finite half-precision bits. */
function fromHalf(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

test('the choice follows the layer', () => {
  const best = (options: ConvOptions, features = hopper): string => {
    const anchor: ConvAnchor = convAnchor(options);
    return convVariants(anchor, convParts(anchor) ?? [], features)[0]!;
  };
  const layer = {
    batch: 32,
    inChannels: 64,
    outChannels: 128,
    inSize: [56, 56],
    kernelSize: [3, 3],
    padLow: [1, 1],
  };
  expect(best(layer)).toBe('simt 128x128');
  expect(best({ ...layer, dtypes: ['bfloat16', 'bfloat16', 'bfloat16'] })).toBe('mma 128x128');
  expect(best({ ...layer, groups: 64, inChannels: 1, outChannels: 1 })).toBe('direct');
  expect(best({ groups: 64, inChannels: 32, inSize: [58, 58], kernelSize: [56, 56] })).toBe('reduce');
  expect(best({ ...layer, batch: 1, inChannels: 4, inSize: [5, 5] }, emulated)).toBe('direct');
});
