/** Gradient machinery seen from outside: identities forward, and gradients that finite differences confirm. */

import type { Tensor } from '@tutti/core';
import { checkpoint, customVjp, detach, exp, matmul, mul, sigmoid, sin, sum, tanh } from '@tutti/core';
import { mapValues, sample } from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { constantInput, floats, randomInput } from './inputs.ts';

/** x * sin(x) with its derivative given by hand. */
const byHand = customVjp(
  (x: Tensor) => mul(x, sin(x)),
  ([x], gradient) => mul(gradient, sin(x).add(mul(x, x.cos()))),
);

const block = checkpoint((x: Tensor, w: Tensor) => tanh(matmul(sigmoid(x), w)));

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function blockReference(x: NdArray, w: NdArray): NdArray {
  const [rows, depth, columns] = [x.shape[0]!, x.shape[1]!, w.shape[1]!];
  const values = Float64Array.from({ length: rows * columns }, (_, flat) => {
    const [i, j] = [Math.floor(flat / columns), flat % columns];
    let total = 0;
    for (let k = 0; k < depth; k++) total += logistic(x.values[i * depth + k]!) * w.values[k * columns + j]!;
    return Math.tanh(total);
  });
  return { shape: [rows, columns], values };
}

const transform = (
  name: string,
  differentiable: boolean,
  samples: (dtype: 'float32') => Sample[],
): OpCase => ({
  name,
  op: name,
  dtypes: ['float32'],
  differentiable,
  samples: () => samples('float32'),
  flopsPerElement: () => 10,
});

export const transformCases: readonly OpCase[] = [
  transform('customVjp', true, (dtype) => [
    sample('x sin x', [randomInput([3, 4], dtype)], (x) => byHand(x!), {
      reference: (x) => mapValues(x!, (v) => v * Math.sin(v)),
    }),
  ]),
  transform('checkpoint', true, (dtype) => [
    sample(
      'tanh(sigmoid(x) w)',
      [randomInput([3, 4], dtype, undefined, 1), randomInput([4, 5], dtype, undefined, 2)],
      (x, w) => block(x!, w!),
      {
        reference: (x, w) => blockReference(x!, w!),
      },
    ),
  ]),
  transform('detach', true, (dtype) => [
    sample(
      'exp(x) detached times x',
      [randomInput([5], dtype), constantInput(randomInput([5], dtype))],
      (x, c) => mul(detach(exp(c!)), x!),
      {
        reference: (x, c) => ({
          shape: x!.shape,
          values: Float64Array.from(x!.values, (v, i) => v * Math.exp(c!.values[i]!)),
        }),
      },
    ),
    sample('gradient of a squared norm', [randomInput([6], dtype)], (x) => sum(mul(x!, x!)), {
      reference: (x) => ({ shape: [], values: [Array.from(x!.values).reduce((a, b) => a + b * b, 0)] }),
    }),
  ]),
  {
    name: 'detach dtypes',
    op: 'detach',
    dtypes: floats,
    differentiable: false,
    flopsPerElement: () => 0,
    samples: (dtype) => [
      sample('[2, 3]', [randomInput([2, 3], dtype)], (x) => detach(x!), {
        reference: (x) => mapValues(x!, (v) => v),
      }),
    ],
  },
];
