/** Tensors from nothing: constants, ranges and random numbers. Random references start from the cipher. */

import type { Shape, Tensor } from '@tutti/core';
import {
  arange,
  bernoulli,
  dropout,
  eye,
  full,
  fullLike,
  Generator,
  linspace,
  ones,
  onesLike,
  rand,
  randint,
  randn,
  tensor,
  zeros,
  zerosLike,
} from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import { count } from '../oracle/indices.ts';
import { threefry2x32 } from '../oracle/threefry.ts';
import { narrow } from './arithmetic.ts';
import { floatResult, mapValues, sample } from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { everything, floats, integers, numbers, randomInput, specialValues } from './inputs.ts';

const creation = (op: string, dtypes: readonly DType[], samples: (dtype: DType) => Sample[]): OpCase => ({
  name: op,
  op,
  dtypes,
  differentiable: false,
  samples,
  flopsPerElement: () => 1,
});

const made = (label: string, call: () => Tensor, shape: Shape, value: (i: number) => number): Sample =>
  sample(label, [], call, {
    reference: () => ({ shape, values: Float64Array.from({ length: count(shape) }, (_, i) => value(i)) }),
  });

const shapes: readonly Shape[] = [[], [1], [3, 5], [0, 2], [33]];

function constants(of: (shape: Shape, dtype: DType) => Tensor, value: (dtype: DType) => number) {
  return (dtype: DType): Sample[] =>
    shapes.map((shape) =>
      made(
        `[${shape.join(', ')}]`,
        () => of(shape, dtype),
        shape,
        () => value(dtype),
      ),
    );
}

/** As constants, with shape and dtype of an operand. */
function likes(call: (x: Tensor) => Tensor, value: (dtype: DType) => number) {
  return (dtype: DType): Sample[] =>
    shapes.map((shape) =>
      sample(`[${shape.join(', ')}]`, [randomInput(shape, dtype)], (x) => call(x!), {
        smooth: false,
        reference: (x) => mapValues(x!, () => value(dtype)),
      }),
    );
}

const filler = (dtype: DType): number => (dtype === 'bool' ? 1 : isFloat(dtype) ? 2.5 : 250);

function tensorSamples(dtype: DType): Sample[] {
  const values = [...specialValues[dtype]];
  return [
    made(
      'flat',
      () => tensor(values, { dtype }),
      [values.length],
      (i) => values[i]!,
    ),
    made(
      'nested',
      () =>
        tensor(
          [
            [1, 0],
            [1, 1],
            [0, 1],
          ],
          { dtype },
        ),
      [3, 2],
      (i) => [1, 0, 1, 1, 0, 1][i]!,
    ),
    made(
      'scalar',
      () => tensor(1, { dtype }),
      [],
      () => 1,
    ),
    made(
      'empty',
      () => tensor([], { dtype, shape: [0, 4] }),
      [0, 4],
      () => 0,
    ),
    made(
      'with a shape',
      () => tensor([1, 0, 0, 1], { dtype, shape: [2, 2] }),
      [2, 2],
      (i) => [1, 0, 0, 1][i]!,
    ),
  ];
}

function arangeSamples(dtype: DType): Sample[] {
  const of = (start: number, stop: number, step: number, length: number): Sample =>
    made(
      `${start} to ${stop} by ${step}`,
      () => arange(start, stop, step, { dtype }),
      [length],
      (i) => start + i * step,
    );
  const downwards = dtype === 'uint8' || dtype === 'uint32' ? [of(9, 0, -2, 5)] : [of(5, -4, -3, 3)];
  const fractions = isFloat(dtype) ? [of(0, 1, 0.25, 4), of(1.5, -1, -0.5, 5)] : [];
  return [of(0, 7, 1, 7), of(3, 20, 4, 5), of(5, 5, 1, 0), of(0, 100, 1, 100), ...downwards, ...fractions];
}

function linspaceSamples(dtype: DType): Sample[] {
  const of = (start: number, stop: number, length: number): Sample =>
    made(
      `${start} to ${stop} in ${length}`,
      () => linspace(start, stop, length, { dtype }),
      [length],
      (i) => (length === 1 ? start : i === length - 1 ? stop : start + ((stop - start) * i) / (length - 1)),
    );
  return [of(0, 1, 5), of(-2, 3, 11), of(1, -1, 4), of(7, 8, 1), of(0, 1, 0)];
}

const eyeSamples = (dtype: DType): Sample[] =>
  (
    [
      [3, 3],
      [2, 5],
      [4, 1],
      [0, 2],
    ] as const
  ).map(([n, m]) =>
    made(
      `${n} by ${m}`,
      () => eye(n, m, { dtype }),
      [n, m],
      (i) => Number(Math.floor(i / m) === i % m),
    ),
  );

const seeds = [0, 1, 123456789, 2 ** 32 - 1] as const;

/** Word 0 of the cipher for element i of the first draw from a seed. */
const bitsOf = (seed: number, i: number): number => threefry2x32([seed, 0], [i, 0])[0];

const digits: Readonly<Record<string, number>> = { float32: 24, float16: 11, bfloat16: 8 };

const uniformOf = (seed: number, i: number, bits: number): number =>
  (bitsOf(seed, i) >>> (32 - bits)) * 2 ** -bits;

function randomSamples(
  call: (shape: Shape, generator: Generator) => Tensor,
  value: (seed: number, i: number, size: number) => number,
): Sample[] {
  return seeds.flatMap((seed, s) => {
    const shape = [[7, 33], [], [5], [0, 3]][s]!;
    return made(
      `seed ${seed} [${shape.join(', ')}]`,
      () => call(shape, new Generator(seed)),
      shape,
      (i) => value(seed, i, count(shape)),
    );
  });
}

/** Box and Muller on two halves of one draw. */
function normalOf(seed: number, i: number, size: number): number {
  const [u, v] = [uniformOf(seed, i, 24) + 2 ** -24, uniformOf(seed, size + i, 24)];
  return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v);
}

function randintSamples(dtype: DType): Sample[] {
  const ranges =
    dtype === 'int32'
      ? [
          [-5, 12],
          [-(2 ** 31), 2 ** 31 - 1],
        ]
      : dtype === 'uint8'
        ? [
            [0, 256],
            [3, 4],
          ]
        : [
            [0, 1000],
            [7, 2 ** 32 - 1],
          ];
  return (ranges as [number, number][]).flatMap(([low, high]) =>
    randomSamples(
      (shape, generator) => randint(low, high, shape, { generator, dtype }),
      (seed, i) => narrow(((BigInt(bitsOf(seed, i)) * BigInt(high - low)) >> 32n) + BigInt(low), dtype),
    ).map((one) => ({ ...one, label: `${low} to ${high} ${one.label}` })),
  );
}

function dropoutSamples(dtype: DType): Sample[] {
  const of = (p: number, training: boolean, seed: number): Sample => {
    const reference = (x: NdArray): NdArray => ({
      shape: x.shape,
      values: Float64Array.from(x.values, (value, i) => {
        if (!training) return value;
        return uniformOf(seed, i, 24) < Math.fround(1 - p) ? value / (1 - p) : 0;
      }),
    });
    return sample(
      `p ${p}${training ? '' : ' not training'}`,
      [randomInput([7, 33], dtype)],
      (x) => dropout(x!, p, { training, generator: new Generator(seed) }),
      {
        result: floatResult(dtype),
        reference: (x) => reference(x!),
      },
    );
  };
  return [of(0.5, true, 7), of(0.1, true, 8), of(0, true, 9), of(1, true, 10), of(0.3, false, 11)];
}

export const creationCases: readonly OpCase[] = [
  creation('tensor', everything, tensorSamples),
  creation(
    'zeros',
    everything,
    constants(
      (shape, dtype) => zeros(shape, { dtype }),
      () => 0,
    ),
  ),
  creation(
    'ones',
    everything,
    constants(
      (shape, dtype) => ones(shape, { dtype }),
      () => 1,
    ),
  ),
  creation(
    'full',
    everything,
    constants((shape, dtype) => full(shape, filler(dtype), { dtype }), filler),
  ),
  creation(
    'zerosLike',
    everything,
    likes(
      (x) => zerosLike(x),
      () => 0,
    ),
  ),
  creation(
    'onesLike',
    everything,
    likes(
      (x) => onesLike(x),
      () => 1,
    ),
  ),
  creation(
    'fullLike',
    everything,
    likes((x) => fullLike(x, filler(x.dtype)), filler),
  ),
  creation('arange', numbers, arangeSamples),
  creation('linspace', floats, linspaceSamples),
  creation('eye', everything, eyeSamples),
  creation('rand', floats, (dtype) =>
    randomSamples(
      (shape, generator) => rand(shape, { generator, dtype }),
      (seed, i) => uniformOf(seed, i, digits[dtype]!),
    ),
  ),
  creation('randn', floats, (dtype) =>
    randomSamples((shape, generator) => randn(shape, { generator, dtype }), normalOf),
  ),
  creation('randint', integers, randintSamples),
  creation('bernoulli', ['bool'], () =>
    randomSamples(
      (shape, generator) => bernoulli(shape, 0.3, { generator }),
      (seed, i) => Number(uniformOf(seed, i, 24) < Math.fround(0.3)),
    ),
  ),
  { ...creation('dropout', numbers, dropoutSamples), differentiable: true },
];
