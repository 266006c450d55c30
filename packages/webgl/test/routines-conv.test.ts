/** Convolutions and both of their gradients by routines. */
import { type ConvOptions, convAnchor, convCase, generator } from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { convProgram, convRoutine } from '../src/routines/conv.ts';
import { productOf } from '../src/routines/conv-product.ts';
import { dotProgram } from '../src/routines/dot.ts';
import { routine } from '../src/routines/index.ts';
import { checkConvs } from './support/conv.ts';
import { pageFeatures } from './support/run.ts';

/** As a convolution and, where it is one, as a matrix product; on the context of the page, and on GPUs in its place. */
async function verify(options: ConvOptions, poison = 0): Promise<void> {
  const page = await pageFeatures();
  const example = convCase(options, 1, poison);
  const kinds = [{}, { software: false }, { software: false, maxOutputs: 2 }];
  const programs = kinds.flatMap((kind) => {
    const features = { ...page, ...kind };
    const found = productOf(example.anchor);
    return [
      convProgram(example.anchor, features),
      ...(found ? [dotProgram(found.product, features, found.summed)] : []),
    ];
  });
  await checkConvs(
    programs.map((program) => {
      if (!program) expect.fail('no routine');
      return { example, program };
    }),
  );
}

const pair = (a: number, b = a): number[] => [a, b];

const layers: Record<string, ConvOptions> = {
  plain: { batch: 2, inChannels: 5, outChannels: 7, inSize: [9, 11], kernelSize: [3, 3] },
  'same padding': {
    batch: 2,
    inChannels: 5,
    outChannels: 7,
    inSize: [9, 11],
    kernelSize: [3, 3],
    padLow: [1, 1],
    epilogue: 'bias',
  },
  'kernel of one': {
    batch: 2,
    inChannels: 4,
    outChannels: 8,
    inSize: [8, 8],
    kernelSize: [1, 1],
    epilogue: 'bias',
  },
  'kernel of one, stride 2': {
    batch: 2,
    inChannels: 4,
    outChannels: 8,
    inSize: [8, 9],
    kernelSize: [1, 1],
    stride: [2, 2],
  },
  'a stem': {
    inChannels: 3,
    outChannels: 16,
    inSize: [31, 29],
    kernelSize: [7, 7],
    stride: [2, 2],
    padLow: [3, 3],
    epilogue: 'scale',
  },
  'many channels': {
    batch: 3,
    inChannels: 80,
    outChannels: 70,
    inSize: [7, 7],
    kernelSize: [3, 3],
    padLow: [1, 1],
  },
  'one axis': {
    batch: 2,
    inChannels: 6,
    outChannels: 5,
    inSize: [50],
    kernelSize: [5],
    padLow: [2],
    epilogue: 'bias',
  },
  'three axes': {
    batch: 2,
    inChannels: 2,
    outChannels: 3,
    inSize: [5, 6, 7],
    kernelSize: [3, 2, 3],
    padLow: [1, 0, 1],
    stride: [2, 1, 1],
    epilogue: 'bias',
  },
  'no axis': { batch: 3, inChannels: 4, outChannels: 5, inSize: [], kernelSize: [] },
  'kernel dilation': {
    inChannels: 3,
    outChannels: 4,
    inSize: [12, 13],
    kernelSize: [3, 3],
    kernelDilation: [2, 3],
    padLow: [2, 3],
  },
  groups: {
    batch: 2,
    groups: 3,
    inChannels: 4,
    outChannels: 5,
    inSize: [8, 8],
    kernelSize: [3, 3],
    padLow: [1, 1],
  },
  depthwise: { batch: 2, groups: 6, inSize: [10, 10], kernelSize: [3, 3], padLow: [1, 1], epilogue: 'bias' },
  'depthwise with two channels': {
    groups: 6,
    outChannels: 2,
    inSize: [10, 10],
    kernelSize: [3, 3],
    stride: [2, 2],
  },
  'other layouts': {
    batch: 3,
    groups: 2,
    inChannels: 3,
    outChannels: 4,
    inSize: [6, 6],
    kernelSize: [2, 2],
    swapLhs: true,
    swapRhs: true,
    flip: true,
    spread: true,
  },
  'the input gradient': {
    batch: 2,
    inChannels: 6,
    outChannels: 4,
    inSize: [5, 6],
    kernelSize: [3, 3],
    padLow: [2, 2],
    swapRhs: true,
    flip: true,
  },
  'the input gradient of stride 2': {
    batch: 2,
    inChannels: 6,
    outChannels: 4,
    inSize: [5, 6],
    kernelSize: [3, 3],
    padLow: [1, 1],
    padHigh: [2, 2],
    inputDilation: [2, 2],
    swapRhs: true,
    flip: true,
  },
  'the input gradient of stride 3, with an epilogue': {
    batch: 2,
    inChannels: 3,
    outChannels: 4,
    inSize: [4, 4],
    kernelSize: [2, 2],
    padLow: [1, 1],
    padHigh: [2, 1],
    inputDilation: [3, 3],
    epilogue: 'bias',
  },
  'a dilated input under a stride': {
    inChannels: 2,
    outChannels: 3,
    inSize: [6, 7],
    kernelSize: [3, 4],
    padLow: [2, 1],
    inputDilation: [4, 3],
    stride: [2, 2],
    kernelDilation: [2, 1],
  },
  'a cropped input': {
    batch: 2,
    inChannels: 2,
    outChannels: 4,
    inSize: [6, 6],
    kernelSize: [3, 3],
    padLow: [-1, -2],
    padHigh: [0, 0],
  },
  'the kernel gradient': {
    batch: 3,
    inChannels: 20,
    outChannels: 5,
    inSize: [8, 9],
    kernelSize: [6, 7],
    swapLhs: true,
    swapRhs: true,
  },
  'the kernel gradient with padding, summed in parts': {
    inChannels: 40,
    outChannels: 6,
    inSize: [13, 14],
    kernelSize: [13, 14],
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
    epilogue: 'scale',
  },
  'the kernel gradient of small images, summed in parts': {
    inChannels: 300,
    outChannels: 6,
    inSize: [3, 3],
    kernelSize: [3, 3],
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
  },
  'the kernel gradient of stride 2': {
    batch: 4,
    inChannels: 9,
    outChannels: 7,
    inSize: [9, 9],
    kernelSize: [4, 4],
    outSize: [3, 3],
    kernelDilation: [2, 2],
    padLow: [1, 1],
    swapLhs: true,
    swapRhs: true,
  },
  'the kernel gradient of a kernel of one': {
    batch: 7,
    inChannels: 3,
    outChannels: 6,
    inSize: [5, 6],
    kernelSize: [5, 6],
    swapLhs: true,
    swapRhs: true,
  },
  'padding beyond the input': {
    inChannels: 2,
    outChannels: 3,
    inSize: [2, 3],
    kernelSize: [2, 5],
    padLow: [5, 9],
  },
  'float16 to bfloat16': {
    batch: 2,
    inChannels: 3,
    outChannels: 5,
    inSize: [7, 7],
    kernelSize: [3, 3],
    padLow: [1, 1],
    dtypes: ['float16', 'bfloat16', 'float16'],
    epilogue: 'bias',
  },
  'bfloat16 with float32': {
    batch: 2,
    inChannels: 3,
    outChannels: 4,
    inSize: [6, 8],
    kernelSize: [3, 3],
    dtypes: ['bfloat16', 'float32', 'bfloat16'],
  },
  'an epilogue that reads bytes': {
    batch: 2,
    inChannels: 3,
    outChannels: 5,
    inSize: [6, 14],
    kernelSize: [3, 3],
    padLow: [1, 1],
    epilogue: 'mask',
  },
  'an epilogue that reads bytes, of odd rows': {
    inChannels: 3,
    outChannels: 5,
    inSize: [5, 13],
    kernelSize: [3, 3],
    epilogue: 'mask',
  },
  'a group with a remainder of everything': {
    batch: 3,
    groups: 2,
    inChannels: 9,
    outChannels: 17,
    inSize: [7, 5],
    kernelSize: [2, 3],
    padLow: [1, 0],
    epilogue: 'bias',
  },
  'wide rows': {
    inChannels: 2,
    outChannels: 3,
    inSize: [3, 230],
    kernelSize: [3, 3],
    padLow: [1, 1],
    epilogue: 'bias',
  },
  'a long row of the kernel, in a loop': {
    batch: 2,
    inChannels: 2,
    outChannels: 3,
    inSize: [3, 40],
    kernelSize: [2, 15],
    padLow: [0, 6],
  },
  'a long row of the kernel, dilated': {
    inChannels: 2,
    outChannels: 9,
    inSize: [2, 60],
    kernelSize: [1, 18],
    padLow: [0, 3],
    kernelDilation: [1, 3],
  },
  'a long row of the kernel, with strides': {
    inChannels: 2,
    outChannels: 3,
    inSize: [2, 90],
    kernelSize: [1, 29],
    padLow: [0, 5],
    stride: [1, 3],
    kernelDilation: [1, 2],
  },
  'more rows of pixels than a texture has texels in a row': {
    batch: 2,
    inChannels: 12,
    outChannels: 5,
    inSize: [40, 45],
    kernelSize: [3, 3],
    padLow: [1, 1],
  },
  'the input gradient of a depthwise layer of stride 2': {
    batch: 2,
    groups: 4,
    inSize: [7, 6],
    kernelSize: [5, 5],
    padLow: [2, 2],
    padHigh: [3, 3],
    inputDilation: [2, 2],
    flip: true,
  },
  'the kernel gradient of a depthwise layer': {
    groups: 5,
    inChannels: 4,
    inSize: [16, 17],
    kernelSize: [16, 17],
    padLow: [1, 1],
  },
  'a long row of the kernel for one channel, with strides': {
    inChannels: 2,
    inSize: [2, 90],
    kernelSize: [1, 29],
    padLow: [0, 5],
    stride: [1, 3],
    kernelDilation: [1, 2],
  },
  'a kernel of the size of the image': {
    batch: 6,
    inChannels: 5,
    outChannels: 10,
    inSize: [4, 6],
    kernelSize: [4, 6],
    epilogue: 'bias',
  },
  'images of one pixel': { batch: 9, inChannels: 20, outChannels: 6, inSize: [1, 1], kernelSize: [1, 1] },
  'grouped kernels of one': {
    batch: 2,
    groups: 3,
    inChannels: 8,
    outChannels: 5,
    inSize: [4, 8],
    kernelSize: [1, 1],
  },
  'the kernel gradient of a kernel of one, in parts': {
    batch: 5,
    inChannels: 70,
    outChannels: 6,
    inSize: [5, 7],
    kernelSize: [5, 7],
    swapLhs: true,
    swapRhs: true,
  },
};

test.each(Object.entries(layers))('%s', (_, options) => verify(options));

test.each(Object.keys(layers))('padding adds no term, whatever the kernel holds: %s', (name) =>
  verify(layers[name]!, 3),
);

test.each([
  { inChannels: 0, outChannels: 3, inSize: pair(4), kernelSize: pair(2) },
  { batch: 0, outChannels: 3, inSize: pair(4), kernelSize: pair(2) },
  { outChannels: 0, inSize: pair(4), kernelSize: pair(2) },
  { outChannels: 3, inSize: pair(2), kernelSize: pair(3) },
  { outChannels: 3, inSize: pair(0), kernelSize: pair(1), padLow: pair(1) },
  { outChannels: 3, inSize: pair(0), kernelSize: pair(1), padLow: pair(1), epilogue: 'bias' as const },
])('empty sums and empty results %#', async (options) => {
  const features = await pageFeatures();
  const example = convCase(options, 1);
  await checkConvs([{ example, program: convRoutine(example.anchor, features)! }]);
});

/** Any geometry whose kernel fits. */
function randomOptions(seed: number): ConvOptions {
  const next = generator(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const dims = 1 + below(3);
  const each = (value: () => number): number[] => Array.from({ length: dims }, value);
  const size = dims === 3 ? 5 : 9;
  const kernelDilation = each(() => 1 + below(2));
  const inputDilation = each(() => (next() < 0.7 ? 1 : 1 + below(3)));
  const inSize = each(() => 1 + below(size));
  const kernelSize = each(() => 1 + below(next() < 0.2 ? size : 3));
  const window = kernelSize.map((k, d) => (k - 1) * kernelDilation[d]! + 1);
  const padLow = each(() => below(4) - 1);
  const padHigh = inSize.map((n, d) => {
    const padded = (n - 1) * inputDilation[d]! + 1 + padLow[d]!;
    return Math.max(window[d]! - padded, below(3));
  });
  return {
    batch: 1 + below(4),
    groups: next() < 0.7 ? 1 : 1 + below(3),
    inChannels: 1 + below(next() < 0.3 ? 40 : 5),
    outChannels: 1 + below(next() < 0.3 ? 40 : 6),
    inSize,
    kernelSize,
    stride: each(() => 1 + below(3)),
    padLow,
    padHigh,
    inputDilation,
    kernelDilation,
    swapLhs: next() < 0.4,
    swapRhs: next() < 0.4,
    flip: next() < 0.4,
    spread: next() < 0.2,
    ...(next() < 0.5 ? { epilogue: next() < 0.5 ? 'bias' : 'mask' } : {}),
  };
}

test.each(Array.from({ length: 24 }, (_, seed) => seed))('random geometry %i', (seed) =>
  verify(randomOptions(seed + 1), seed % 4 === 0 ? 2 : 0),
);

describe('what is not taken', () => {
  const declined = async (options: ConvOptions): Promise<boolean> =>
    routine(convAnchor(options), await pageFeatures()) === undefined;
  const layer = { batch: 8, inChannels: 4, outChannels: 8, inSize: [9, 9], kernelSize: [3, 3] };

  test('small convolutions', async () => {
    expect(await declined(layer)).toBe(false);
    expect(await declined({ ...layer, batch: 1, inSize: [4, 4] })).toBe(true);
    expect(await declined({ ...layer, batch: 50, inChannels: 2, kernelSize: [1, 1] })).toBe(true);
  });

  test('more than three axes, and many lattices', async () => {
    expect(await declined({ ...layer, inSize: [5, 5, 5, 5], kernelSize: [3, 3, 3, 3] })).toBe(true);
    const patches = { inSize: [6, 6], kernelSize: [8, 8], padLow: [7, 7], inputDilation: [8, 8] };
    expect(await declined({ ...layer, ...patches })).toBe(true);
  });

  test('integers', async () => {
    const anchor = { ...convAnchor(layer), type: 'i32' as const };
    expect(routine(anchor, await pageFeatures())).toBeUndefined();
  });
});
