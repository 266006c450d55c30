/** Activation functions, by their textbook formulas in double precision. */

import type { Tensor } from '@tutti/core';
import { elu, gelu, leakyRelu, logSigmoid, relu, sigmoid, silu, softplus } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { erf } from '../oracle/numbers.ts';
import { floatResult, mapValues, sample, unaryCase } from './build.ts';
import type { OpCase } from './case.ts';
import { constantInput, everything, input, numbers, offZero, standard } from './inputs.ts';

const smooth = (
  name: string,
  op: string,
  call: (x: Tensor) => Tensor,
  reference: (x: number) => number,
  domain = standard,
  special = true,
): OpCase =>
  unaryCase({
    name,
    op,
    call,
    reference,
    domain,
    specialReference: special,
    dtypes: everything,
    result: floatResult,
    differentiable: true,
    flops: 12,
  });

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** log(1 + e^x) that keeps small results: e^x itself where x is very negative. */
const ramp = (x: number): number => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

const geluErf = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));
const geluTanh = (x: number): number =>
  (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** Arguments at which the naive forms overflow or lose everything. */
const hard = [
  -1e4, -200, -110, -100, -90, -50, -20, -15, -6, -1e-4, 1e-6, 6, 15, 20, 50, 88, 89, 100, 200, 1e4,
];

const stability = (op: string, call: (x: Tensor) => Tensor, reference: (x: number) => number): OpCase => ({
  name: `${op} stability`,
  op,
  dtypes: ['float32'],
  differentiable: true,
  flopsPerElement: () => 12,
  samples: (dtype: DType) => [
    sample('hard arguments', [input([hard.length], dtype, hard)], (x) => call(x!), {
      smooth: false,
      reference: (x) => mapValues(x!, reference),
    }),
    sample('infinities', [constantInput(input([2], dtype, [Infinity, -Infinity]))], (x) => call(x!), {
      reference: (x) => mapValues(x!, (v) => limit(reference, v)),
    }),
  ],
});

/** The limit of a formula at infinity, taken far out. */
const limit = (f: (x: number) => number, x: number): number => {
  const far = f(x > 0 ? 1e300 : -1e3);
  return Math.abs(far) > 900 && far !== 0 ? Math.sign(far) * Infinity : far;
};

export const activationCases: readonly OpCase[] = [
  unaryCase({
    op: 'relu',
    call: relu,
    dtypes: numbers,
    domain: offZero,
    differentiable: true,
    reference: (x) => (x > 0 ? x : Number.isNaN(x) ? x : 0),
  }),
  smooth('sigmoid', 'sigmoid', sigmoid, logistic),
  smooth('logSigmoid', 'logSigmoid', logSigmoid, (x) => -ramp(-x)),
  smooth('softplus', 'softplus', softplus, ramp),
  smooth(
    'leakyRelu',
    'leakyRelu',
    (x) => leakyRelu(x),
    (x) => (x > 0 ? x : 0.01 * x),
    offZero,
  ),
  smooth(
    'leakyRelu slope',
    'leakyRelu',
    (x) => leakyRelu(x, 0.3),
    (x) => (x > 0 ? x : 0.3 * x),
    offZero,
  ),
  smooth(
    'elu',
    'elu',
    (x) => elu(x),
    (x) => (x > 0 ? x : Math.expm1(x)),
    offZero,
  ),
  smooth(
    'elu alpha',
    'elu',
    (x) => elu(x, 0.5),
    (x) => (x > 0 ? x : 0.5 * Math.expm1(x)),
    offZero,
  ),
  smooth('gelu', 'gelu', (x) => gelu(x), geluErf, standard, false),
  smooth('gelu tanh', 'gelu', (x) => gelu(x, { approximate: 'tanh' }), geluTanh, standard, false),
  smooth('silu', 'silu', silu, (x) => x * logistic(x), standard, false),
  stability('sigmoid', sigmoid, logistic),
  stability('logSigmoid', logSigmoid, (x) => -ramp(-x)),
  stability('softplus', softplus, ramp),
  stability('silu', silu, (x) => x * logistic(x)),
  stability('gelu', (x) => gelu(x), geluErf),
];
