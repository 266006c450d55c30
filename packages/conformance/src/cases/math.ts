/** Functions of one operand, by their formulas in double precision. */

import type { Tensor } from '@tutti/core';
import {
  abs,
  bitcast,
  cast,
  ceil,
  clamp,
  cos,
  erf,
  exp,
  expm1,
  isFinite as finite,
  floor,
  isInf,
  log,
  log1p,
  log2,
  neg,
  isNaN as notANumber,
  reciprocal,
  round,
  rsqrt,
  sign,
  sin,
  sqrt,
  square,
  tan,
  tanh,
  trunc,
} from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import { convert } from '../oracle/elementwise.ts';
import { erf as exactErf, roundEven } from '../oracle/numbers.ts';
import { narrow } from './arithmetic.ts';
import { boolResult, floatResult, mapValues, sample, specialShare, unaryCase, viewSamples } from './build.ts';
import type { OpCase, Sample } from './case.ts';
import {
  constantInput,
  type Domain,
  everything,
  numbers,
  offZero,
  positive,
  randomInput,
  specialInput,
  standard,
} from './inputs.ts';

/** Between whole numbers and half way marks, so that a step never hides in a difference quotient. */
const offSteps: Domain = {
  low: -3,
  high: 3,
  away: [-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3],
};

const smooth = (
  op: string,
  call: (x: Tensor) => Tensor,
  reference: (x: number) => number,
  domain: Domain = standard,
  flops = 10,
  unjudged = specialShare,
): OpCase =>
  unaryCase({
    op,
    call,
    reference,
    domain,
    flops,
    unjudged,
    dtypes: everything,
    result: floatResult,
    differentiable: true,
  });

const rounds = (op: string, call: (x: Tensor) => Tensor, reference: (x: number) => number): OpCase =>
  unaryCase({ op, call, reference, dtypes: numbers, domain: offSteps, differentiable: true });

/** On integers through BigInt, so that extremes wrap. */
const wrapping =
  (onFloats: (x: number) => number, onIntegers: (x: bigint) => bigint) =>
  (x: number, dtype: DType): number =>
    isFloat(dtype) ? onFloats(x) : narrow(onIntegers(BigInt(x)), dtype);

const magnitude = (x: bigint): bigint => (x < 0n ? -x : x);

function clampSamples(dtype: DType): Sample[] {
  const reference = (low: number, high: number) => (x: number) =>
    Number.isNaN(x) ? x : Math.min(Math.max(x, low), high);
  const limits: readonly (readonly [number | undefined, number | undefined])[] = [
    [1, 2],
    [undefined, 2],
    [1, undefined],
    [2, 1],
  ];
  const domain: Domain = { low: -3, high: 3, away: [1, 2] };
  const of = (
    low: number | undefined,
    high: number | undefined,
    name: string,
    input = randomInput([7, 33], dtype, domain),
  ): Sample =>
    sample(`${low} to ${high} ${name}`, [input], (x) => clamp(x!, low, high), {
      reference: (x) => mapValues(x!, reference(low ?? -Infinity, high ?? Infinity)),
    });
  return [
    ...limits.map(([low, high]) => of(low, high, '[7, 33]')),
    ...viewSamples(of(1, 2, '[4, 6]', randomInput([4, 6], dtype, domain))),
    of(1, 2, 'special values', constantInput(specialInput(dtype))),
    of(1, 2, '[0]', randomInput([0], dtype)),
    sample(
      'tensor limits',
      [randomInput([2, 3], dtype, domain), constantInput(randomInput([3], dtype, { low: 0, high: 0.5 }))],
      (x, low) => clamp(x!, low),
      {
        smooth: false,
        reference: (x, low) => ({
          shape: x!.shape,
          values: Float64Array.from(x!.values, (v, i) => Math.max(v, low!.values[i % 3]!)),
        }),
      },
    ),
  ];
}

/** Every dtype to every other; expected elements come from one plain rule. */
function castSamples(dtype: DType): Sample[] {
  return everything.flatMap((to) => {
    const call: Sample['call'] = (x) => cast(x!, to);
    const reference: NonNullable<Sample['reference']> = (x) =>
      mapValues(x!, (value) => convert(value, dtype, to));
    const of = (label: string, x = randomInput([7, 33], dtype, { low: -200, high: 300 })): Sample =>
      sample(`to ${to} ${label}`, [x], call, { reference, result: to, smooth: to === 'float32' });
    return [
      of('[7, 33]'),
      of('special values', constantInput(specialInput(dtype))),
      of('[]', randomInput([], dtype)),
      of('[0]', randomInput([0], dtype)),
      ...viewSamples(of('[4, 6]', randomInput([4, 6], dtype, offZero)), ['transposed', 'offset']),
    ];
  });
}

const fourBytes: readonly DType[] = ['float32', 'int32', 'uint32'];

/** NaN has many patterns, and which one an operation keeps is not promised: none goes in here. */
function bitcastSamples(dtype: DType): Sample[] {
  return fourBytes.map((to) => {
    const special = specialInput(dtype);
    const values = special.values.filter(
      (x) => !Number.isNaN(x) && !(dtype !== 'float32' && to === 'float32' && isNaNPattern(x)),
    );
    const reinterpret = (x: number): number => {
      const view = new DataView(new ArrayBuffer(4));
      if (dtype === 'float32') view.setFloat32(0, x);
      else view.setUint32(0, x >>> 0);
      return to === 'float32' ? view.getFloat32(0) : to === 'int32' ? view.getInt32(0) : view.getUint32(0);
    };
    return sample(
      `to ${to}`,
      [constantInput({ ...special, shape: [values.length], values })],
      (x) => bitcast(x!, to),
      {
        result: to,
        reference: (x) => mapValues(x!, reinterpret),
      },
    );
  });
}

const isNaNPattern = (x: number): boolean => (x & 0x7f800000) === 0x7f800000 && (x & 0x7fffff) !== 0;

export const mathCases: readonly OpCase[] = [
  unaryCase({
    op: 'neg',
    call: neg,
    dtypes: numbers,
    differentiable: true,
    reference: wrapping(
      (x) => -x,
      (x) => -x,
    ),
  }),
  unaryCase({
    op: 'abs',
    call: abs,
    dtypes: numbers,
    domain: offZero,
    differentiable: true,
    reference: wrapping(Math.abs, magnitude),
  }),
  unaryCase({
    op: 'sign',
    call: sign,
    dtypes: numbers,
    domain: offZero,
    differentiable: true,
    reference: (x) => Math.sign(x),
  }),
  unaryCase({
    op: 'square',
    call: square,
    dtypes: numbers,
    differentiable: true,
    reference: wrapping(
      (x) => x * x,
      (x) => x * x,
    ),
  }),
  rounds('floor', floor, Math.floor),
  rounds('ceil', ceil, Math.ceil),
  rounds('trunc', trunc, Math.trunc),
  rounds('round', round, roundEven),
  smooth('sqrt', sqrt, Math.sqrt, positive, 4),
  smooth('rsqrt', rsqrt, (x) => 1 / Math.sqrt(x), positive, 4),
  smooth('reciprocal', reciprocal, (x) => 1 / x, positive, 1),
  smooth('exp', exp, Math.exp),
  smooth('expm1', expm1, Math.expm1),
  smooth('log', log, Math.log, positive),
  smooth('log1p', log1p, Math.log1p, { low: -0.9, high: 4 }),
  smooth('log2', log2, Math.log2, positive),
  smooth('sin', sin, Math.sin),
  smooth('cos', cos, Math.cos),
  smooth('tan', tan, Math.tan, { low: -1.2, high: 1.2 }, 20, 0.4),
  smooth('tanh', tanh, Math.tanh),
  smooth('erf', erf, exactErf),
  unaryCase({
    op: 'isNaN',
    call: notANumber,
    dtypes: everything,
    result: boolResult,
    reference: (x) => Number(Number.isNaN(x)),
  }),
  unaryCase({
    op: 'isInf',
    call: isInf,
    dtypes: everything,
    result: boolResult,
    reference: (x) => Number(Math.abs(x) === Infinity),
  }),
  unaryCase({
    op: 'isFinite',
    call: finite,
    dtypes: everything,
    result: boolResult,
    reference: (x) => Number(Number.isFinite(x)),
  }),
  {
    name: 'clamp',
    op: 'clamp',
    dtypes: numbers,
    differentiable: true,
    samples: clampSamples,
    flopsPerElement: () => 2,
  },
  {
    name: 'cast',
    op: 'cast',
    dtypes: everything,
    differentiable: true,
    samples: castSamples,
    flopsPerElement: () => 1,
  },
  {
    name: 'bitcast',
    op: 'bitcast',
    dtypes: fourBytes,
    differentiable: false,
    samples: bitcastSamples,
    flopsPerElement: () => 0,
  },
];

/** Extreme arguments for functions that lose digits when they are written naively. */
const accuracy = (
  op: string,
  call: (x: Tensor) => Tensor,
  reference: (x: number) => number,
  values: readonly number[],
): OpCase => ({
  name: `${op} accuracy`,
  op,
  dtypes: ['float32'],
  differentiable: false,
  flopsPerElement: () => 10,
  samples: () => [
    sample(
      'hard arguments',
      [constantInput({ ...randomInput([values.length], 'float32'), values: values.map(Math.fround) })],
      (x) => call(x!),
      {
        reference: (x) => mapValues(x!, reference),
      },
    ),
  ],
});

const tiny = [1e-30, -1e-20, 1e-12, -1e-8, 1e-7, 3e-6, -4e-5, 1e-4, 0.003, -0.02, 0.1, -0.3, 0.5];

export const accuracyCases: readonly OpCase[] = [
  accuracy('log1p', log1p, Math.log1p, [...tiny, -0.999999, 1e10, 3e38]),
  accuracy('expm1', expm1, Math.expm1, [...tiny, -5, -20, -100, 5, 50, 88]),
  accuracy('exp', exp, Math.exp, [...tiny, -80, -87.3, 87.3, 88.7, 20.5, -33.25, 1]),
  accuracy('log', log, Math.log, [1e-38, 0.9999999, 1.0000001, 0.99, 1.01, 2, 3e38, 1e-10]),
  accuracy('tanh', tanh, Math.tanh, [...tiny, 3, -5, 9, -10, 20, 100]),
  accuracy('erf', erf, exactErf, [...tiny, 0.8, -1.2, 2, 2.9, 3.1, -3.9, 4.5, 10]),
  accuracy('sin', sin, Math.sin, [...tiny, 3.1415927, 6.2831855, 10, -100, 1000, 12345.678, -50000]),
  accuracy('cos', cos, Math.cos, [...tiny, 1.5707964, 4.712389, 10, -100, 1000, 12345.678, -50000]),
];
