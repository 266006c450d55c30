import type { ConvAnchor } from '@tutti/core/backend';
import { describe, expect, it } from 'vitest';
import { forwardProgram } from '../src/routines/conv-forward.ts';
import { reduceProgram } from '../src/routines/conv-reduce.ts';
import { routine } from '../src/routines/index.ts';
import { check, generator, threeBuffers } from './routines-harness.ts';

interface Options {
  readonly batch?: number;
  readonly groups?: number;
  readonly inChannels?: number;
  readonly outChannels?: number;
  readonly inSize: readonly number[];
  readonly kernelSize: readonly number[];
  readonly outSize?: readonly number[];
  readonly stride?: readonly number[];
  readonly padLow?: readonly number[];
  readonly padHigh?: readonly number[];
  readonly inputDilation?: readonly number[];
  readonly kernelDilation?: readonly number[];
  /** Channels and batch (of x), or input and output channels (of w), change places in memory. */
  readonly swapLhs?: boolean;
  readonly swapRhs?: boolean;
  /** Kernel positions run backwards through memory. */
  readonly flip?: boolean;
  /** Elements of x are two apart along the last axis. */
  readonly spread?: boolean;
}

function convAnchor(options: Options): ConvAnchor {
  const { batch = 1, groups = 1, inChannels = 1, outChannels = 1, inSize, kernelSize } = options;
  const all = (value: number): number[] => inSize.map(() => value);
  const stride = options.stride ?? all(1);
  const padLow = options.padLow ?? all(0);
  const padHigh = options.padHigh ?? padLow;
  const inputDilation = options.inputDilation ?? all(1);
  const kernelDilation = options.kernelDilation ?? all(1);
  const outSize =
    options.outSize ??
    inSize.map((size, d) => {
      const padded = (size - 1) * inputDilation[d]! + 1 + padLow[d]! + padHigh[d]!;
      return Math.max(
        0,
        Math.floor((padded - (kernelSize[d]! - 1) * kernelDilation[d]! - 1) / stride[d]!) + 1,
      );
    });
  const hop = options.spread ? 2 : 1;
  const spatial = (size: readonly number[], step: number): { strides: number[]; total: number } => {
    const strides: number[] = [];
    let total = step;
    for (const extent of [...size].reverse()) {
      strides.unshift(total);
      total *= extent;
    }
    return { strides, total };
  };
  const x = spatial(inSize, hop);
  const w = spatial(kernelSize, 1);
  const flip = options.flip && kernelSize.every((size) => size > 0);
  const channels = groups * inChannels;
  const out = groups * outChannels;
  const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);
  return {
    kind: 'conv',
    name: 'conv',
    batch,
    groups,
    inChannels,
    outChannels,
    inSize,
    outSize,
    kernelSize,
    stride,
    padLow,
    inputDilation,
    kernelDilation,
    lhs: {
      dtype: 'float32',
      offset: 3,
      spatial: x.strides,
      ...(options.swapLhs
        ? { outer: x.total, inner: x.total * batch }
        : { outer: x.total * channels, inner: x.total }),
    },
    rhs: {
      dtype: 'float32',
      offset: 1 + (flip ? w.total - 1 : 0),
      spatial: flip ? w.strides.map((stride) => -stride) : w.strides,
      ...(options.swapRhs
        ? { outer: w.total, inner: w.total * out }
        : { outer: w.total * inChannels, inner: w.total }),
    },
    type: 'f32',
    buffers: threeBuffers(
      3 + x.total * batch * channels,
      1 + w.total * out * inChannels,
      batch * out * product(outSize),
    ),
    scalars: [],
  };
}

const text = (a: ConvAnchor): string => {
  const { kind: _k, name: _n, buffers: _b, scalars: _s, type: _t, ...rest } = a;
  return JSON.stringify(rest);
};

function verify(options: Options, seed: number): void {
  const anchor = convAnchor(options);
  const program = routine(anchor);
  expect(program, text(anchor)).toBeDefined();
  check(anchor, program!, generator(seed), text(anchor));
  // The choice between the two is one of speed: both must be right for any shape.
  if (
    anchor.buffers.some((buffer) => buffer.length === 0) ||
    anchor.inSize.includes(0) ||
    anchor.inChannels === 0
  )
    return;
  check(anchor, forwardProgram(anchor), generator(seed), `forward ${text(anchor)}`);
  check(anchor, reduceProgram(anchor), generator(seed), `reduce ${text(anchor)}`);
}

describe('conv', () => {
  it('does the usual layers', () => {
    verify({ batch: 2, inChannels: 5, outChannels: 7, inSize: [9, 11], kernelSize: [3, 3] }, 1);
    verify(
      { batch: 2, inChannels: 5, outChannels: 7, inSize: [9, 11], kernelSize: [3, 3], padLow: [1, 1] },
      2,
    );
    verify({ batch: 2, inChannels: 4, outChannels: 8, inSize: [8, 8], kernelSize: [1, 1] }, 3);
    verify(
      {
        batch: 1,
        inChannels: 3,
        outChannels: 16,
        inSize: [31, 29],
        kernelSize: [7, 7],
        stride: [2, 2],
        padLow: [3, 3],
      },
      4,
    );
    verify(
      { batch: 3, inChannels: 80, outChannels: 10, inSize: [7, 7], kernelSize: [3, 3], padLow: [1, 1] },
      5,
    );
    verify({ batch: 2, inChannels: 6, outChannels: 5, inSize: [50], kernelSize: [5], padLow: [2] }, 6);
    verify(
      {
        batch: 2,
        inChannels: 2,
        outChannels: 3,
        inSize: [5, 6, 7],
        kernelSize: [3, 2, 3],
        padLow: [1, 0, 1],
        stride: [2, 1, 1],
      },
      7,
    );
    verify({ batch: 1, inChannels: 20, outChannels: 4, inSize: [32, 32], kernelSize: [3, 3] }, 8);
  });

  it('does wide rows, which are copied by loops', () => {
    verify({ inChannels: 2, outChannels: 3, inSize: [3, 230], kernelSize: [3, 3], padLow: [1, 1] }, 9);
    verify({ inChannels: 2, outChannels: 3, inSize: [2, 301], kernelSize: [2, 5], padLow: [0, 150] }, 10);
    verify({ inChannels: 1, outChannels: 1, inSize: [1003], kernelSize: [9], stride: [3], padLow: [4] }, 11);
  });

  it('does groups and depthwise', () => {
    verify(
      {
        batch: 2,
        groups: 3,
        inChannels: 4,
        outChannels: 5,
        inSize: [8, 8],
        kernelSize: [3, 3],
        padLow: [1, 1],
      },
      12,
    );
    verify({ batch: 2, groups: 6, inSize: [10, 10], kernelSize: [3, 3], padLow: [1, 1] }, 13);
    verify({ batch: 2, groups: 6, outChannels: 2, inSize: [10, 10], kernelSize: [3, 3], stride: [2, 2] }, 14);
    verify(
      {
        groups: 2,
        inChannels: 3,
        outChannels: 4,
        inSize: [6, 6],
        kernelSize: [2, 2],
        swapLhs: true,
        swapRhs: true,
      },
      15,
    );
  });

  it('does input gradients: full padding, weights transposed, input dilated by the stride', () => {
    verify(
      {
        batch: 2,
        inChannels: 6,
        outChannels: 4,
        inSize: [5, 6],
        kernelSize: [3, 3],
        padLow: [2, 2],
        swapRhs: true,
      },
      16,
    );
    verify(
      {
        batch: 2,
        inChannels: 6,
        outChannels: 4,
        inSize: [5, 6],
        kernelSize: [3, 3],
        padLow: [1, 1],
        padHigh: [2, 2],
        inputDilation: [2, 2],
        swapRhs: true,
      },
      17,
    );
    verify(
      {
        batch: 2,
        inChannels: 2,
        outChannels: 4,
        inSize: [6, 6],
        kernelSize: [3, 3],
        padLow: [-1, -2],
        padHigh: [0, 0],
      },
      18,
    );
  });

  it('does weight gradients: batch and channels in each others place, the output as kernel', () => {
    verify(
      {
        batch: 3,
        inChannels: 20,
        outChannels: 5,
        inSize: [8, 9],
        kernelSize: [6, 7],
        swapLhs: true,
        swapRhs: true,
      },
      19,
    );
    verify(
      {
        batch: 1,
        inChannels: 16,
        outChannels: 32,
        inSize: [14, 14],
        kernelSize: [12, 12],
        swapLhs: true,
        swapRhs: true,
      },
      20,
    );
    verify(
      {
        batch: 4,
        inChannels: 9,
        outChannels: 7,
        inSize: [8, 8],
        kernelSize: [8, 8],
        padLow: [1, 1],
        swapLhs: true,
        swapRhs: true,
      },
      21,
    );
    verify(
      {
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
      22,
    );
    verify(
      {
        batch: 40,
        inChannels: 3,
        outChannels: 30,
        inSize: [13, 12],
        kernelSize: [11, 10],
        swapLhs: true,
        swapRhs: true,
      },
      23,
    );
    verify(
      {
        groups: 2,
        batch: 3,
        inChannels: 4,
        outChannels: 5,
        inSize: [10, 12],
        kernelSize: [8, 9],
        padLow: [0, 1],
        swapRhs: true,
      },
      24,
    );
  });

  it('does input gradients of strided layers, lattice by lattice', () => {
    verify(
      {
        batch: 2,
        inChannels: 3,
        outChannels: 5,
        inSize: [6, 7],
        kernelSize: [1, 1],
        padHigh: [1, 0],
        inputDilation: [2, 3],
      },
      40,
    );
    verify(
      {
        inChannels: 3,
        outChannels: 5,
        inSize: [6, 40],
        kernelSize: [4, 4],
        padLow: [2, 2],
        inputDilation: [2, 2],
        kernelDilation: [2, 3],
      },
      41,
    );
    verify(
      {
        inChannels: 2,
        outChannels: 2,
        inSize: [40],
        kernelSize: [5],
        padLow: [3],
        inputDilation: [4],
        kernelDilation: [2],
      },
      42,
    );
    verify(
      {
        inChannels: 2,
        outChannels: 2,
        inSize: [3, 4, 5],
        kernelSize: [3, 3, 3],
        padLow: [1, 2, 2],
        inputDilation: [2, 1, 2],
      },
      43,
    );
    verify(
      {
        groups: 3,
        inSize: [8, 8],
        kernelSize: [3, 3],
        padLow: [1, 1],
        padHigh: [2, 2],
        inputDilation: [2, 2],
      },
      44,
    );
  });

  it('reads flipped kernels', () => {
    verify(
      {
        batch: 2,
        inChannels: 6,
        outChannels: 4,
        inSize: [5, 6],
        kernelSize: [3, 3],
        padLow: [2, 2],
        swapRhs: true,
        flip: true,
      },
      50,
    );
    verify({ batch: 2, inChannels: 3, outChannels: 4, inSize: [5, 6], kernelSize: [5, 6], flip: true }, 51);
    verify(
      {
        inChannels: 3,
        outChannels: 5,
        inSize: [6, 9],
        kernelSize: [3, 4],
        padLow: [2, 2],
        inputDilation: [2, 2],
        flip: true,
      },
      52,
    );
  });

  it('gives zero where nothing meets', () => {
    verify({ inChannels: 2, outChannels: 3, inSize: [3], kernelSize: [2], padLow: [10], padHigh: [10] }, 25);
    verify({ inChannels: 0, outChannels: 3, inSize: [3, 3], kernelSize: [2, 2] }, 26);
    verify(
      { inChannels: 2, outChannels: 3, inSize: [0, 3], kernelSize: [2, 2], padLow: [2, 1], padHigh: [2, 1] },
      27,
    );
    verify({ batch: 0, inChannels: 2, outChannels: 3, inSize: [3, 3], kernelSize: [2, 2] }, 28);
    verify({ inChannels: 2, outChannels: 3, inSize: [2, 2], kernelSize: [3, 3] }, 29);
  });

  it.each([0, 1, 2, 3, 4, 5])('matches the reference on random convolutions, part %i', (part) => {
    const random = generator(100 + part);
    const int = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
    for (let round = 0; round < 60; round++) {
      const dims = int(1, 3);
      const axes = <T>(make: () => T): T[] => Array.from({ length: dims }, make);
      const large = dims === 3 ? 7 : dims === 2 ? 14 : 60;
      const options: Options = {
        batch: int(1, 3),
        groups: random() < 0.3 ? int(2, 3) : 1,
        inChannels: random() < 0.2 ? int(20, 60) : int(1, 6),
        outChannels: random() < 0.2 ? int(20, 40) : int(1, 9),
        inSize: axes(() => int(1, large)),
        kernelSize: axes(() => (random() < 0.15 ? int(4, 8) : int(1, 3))),
        stride: axes(() => (random() < 0.6 ? 1 : int(2, 3))),
        padLow: axes(() => (random() < 0.4 ? 0 : int(-1, 3))),
        padHigh: axes(() => int(-1, 3)),
        inputDilation: axes(() => (random() < 0.7 ? 1 : int(2, 3))),
        kernelDilation: axes(() => (random() < 0.6 ? 1 : int(2, 3))),
        swapLhs: random() < 0.3,
        swapRhs: random() < 0.3,
        spread: random() < 0.15,
        flip: random() < 0.2,
      };
      verify(options, part * 1000 + round);
    }
  });
});
