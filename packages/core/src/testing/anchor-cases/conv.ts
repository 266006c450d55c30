/** Convolutions and both of their gradients that every backend's routines are tested with. */
import type { ConvOptions } from '../conv-anchor.ts';
import { generator } from '../random-kernel.ts';
import { type ConvCase, convCase } from './conv-case.ts';
import { forwardLayers, gradientLayers, layer } from './conv-layers.ts';

/** By their names. */
export const convLayers: Readonly<Record<string, ConvOptions>> = { ...forwardLayers, ...gradientLayers };

/** All layers. */
export const convCases = (): ConvCase[] =>
  Object.entries(convLayers).map(([name, options]) => convCase(name, options));

/** All layers, of operands that are not finite everywhere: padding adds no term, whatever the kernel holds. */
export const convPaddingCases = (): ConvCase[] =>
  Object.entries(convLayers).map(([name, options]) => convCase(`${name}, not all finite`, options, 1, 3));

/** Sums of no terms, and results without elements. */
export const convEmptyCases = (): ConvCase[] => {
  const layers: Readonly<Record<string, ConvOptions>> = {
    'no input channels': layer([1, 0, 3], [4, 4], [2, 2]),
    'an empty batch': layer([0, 1, 3], [4, 4], [2, 2]),
    'no output channels': layer([1, 1, 0], [4, 4], [2, 2]),
    'a kernel larger than the image': layer([1, 1, 3], [2, 2], [3, 3]),
    'an empty image in padding': layer([1, 1, 3], [0, 0], [1, 1], { padLow: [1, 1] }),
    'an empty image in padding, with an epilogue': layer([1, 1, 3], [0, 0], [1, 1], {
      padLow: [1, 1],
      epilogue: 'bias',
    }),
    'an image of no height in padding': layer([1, 2, 3], [0, 3], [2, 2], {
      padLow: [2, 1],
      padHigh: [2, 1],
    }),
  };
  return Object.entries(layers).map(([name, options]) => convCase(name, options));
};

/** Any geometry whose kernel fits, of seeds from 1; every fourth of operands that are not finite everywhere. */
export const randomConvCases = (count: number): ConvCase[] =>
  Array.from({ length: count }, (_, i) =>
    convCase(`random convolution ${i + 1}`, randomOptions(i + 1), 1, i % 4 === 0 ? 2 : 0),
  );

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
