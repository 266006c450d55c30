/** Reductions over every choice of axes, by their formulas over plain arrays. */

import type { Shape, Tensor } from '@tutti/core';
import {
  all,
  any,
  argMax,
  argMin,
  logSumExp,
  max,
  mean,
  min,
  norm,
  prod,
  std,
  sum,
  variance,
} from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { narrow } from './arithmetic.ts';
import {
  boolResult,
  type DTypeRule,
  floatResult,
  sameDType,
  sample,
  shapeLabel,
  specialShare,
  viewSamples,
} from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import {
  constantInput,
  type Domain,
  distinct,
  everything,
  input,
  numbers,
  offZero,
  positive,
  randomInput,
  specialValues,
  standard,
} from './inputs.ts';

export type Axes = number | readonly number[] | undefined;

/** Applies `f` to the elements that meet in each result, in row-major order. */
export function reduceNd(x: NdArray, axes: Axes, keepDim: boolean, f: (values: number[]) => number): NdArray {
  const rank = x.shape.length;
  const all = Array.from({ length: rank }, (_, axis) => axis);
  const list = axes === undefined ? all : [axes].flat().map((axis) => (axis < 0 ? axis + rank : axis));
  const kept = x.shape.map((extent, axis) => (list.includes(axis) ? 1 : extent));
  const groups = Array.from({ length: count(kept) }, (): number[] => []);
  forEachIndex(x.shape, (index, flat) => {
    const target = index.map((i, axis) => (list.includes(axis) ? 0 : i));
    groups[position(target, kept)]!.push(x.values[flat]!);
  });
  const shape = keepDim ? kept : kept.filter((_, axis) => !list.includes(axis));
  return { shape, values: groups.map(f) };
}

const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
const average = (values: number[]): number => total(values) / values.length;

function spreadOf(values: number[], correction = 1): number {
  const middle = average(values);
  return total(values.map((x) => (x - middle) ** 2)) / Math.max(0, values.length - correction);
}

function logOfExps(values: number[]): number {
  const top = Math.max(...values);
  if (!Number.isFinite(top)) return top;
  return top + Math.log(total(values.map((x) => Math.exp(x - top))));
}

const pNorm = (p: number) => (values: number[]) =>
  p === Infinity ? Math.max(...values.map(Math.abs)) : total(values.map((x) => Math.abs(x) ** p)) ** (1 / p);

/** The first extreme; the first NaN before any. */
function extremePosition(values: number[], better: (a: number, b: number) => boolean): number {
  const nan = values.findIndex(Number.isNaN);
  if (nan !== -1) return nan;
  return values.reduce((best, value, i) => (better(value, values[best]!) ? i : best), 0);
}

interface Grid {
  readonly shape: Shape;
  readonly axes: Axes;
  readonly keepDim?: boolean;
}

const grid: readonly Grid[] = [
  { shape: [], axes: undefined },
  { shape: [1], axes: 0 },
  { shape: [5], axes: undefined },
  { shape: [3, 4], axes: 0 },
  { shape: [3, 4], axes: -1 },
  { shape: [3, 4], axes: undefined, keepDim: true },
  { shape: [2, 3, 5], axes: [0, 2] },
  { shape: [2, 3, 5], axes: [-2], keepDim: true },
  { shape: [2, 1, 3, 4], axes: [1, 3] },
  { shape: [7, 33], axes: 1 },
  { shape: [33, 7], axes: 0 },
  { shape: [1037], axes: 0 },
  { shape: [3, 4], axes: [] },
];

/** Where nothing meets: legal for a sum, an error for a maximum. */
const emptyGrid: readonly Grid[] = [
  { shape: [0], axes: undefined },
  { shape: [0, 3], axes: 0 },
];
/** No result at all: legal for every reduction. */
const noResults: readonly Grid[] = [{ shape: [0, 3], axes: 1 }];

interface ReductionOptions {
  readonly op: string;
  readonly call: (x: Tensor, axes: Axes, options: { keepDim: boolean }) => Tensor;
  readonly reference: (values: number[], dtype: DType) => number;
  readonly dtypes: readonly DType[];
  readonly result?: DTypeRule;
  readonly domain?: Domain;
  readonly differentiable?: boolean;
  readonly empty?: boolean;
  readonly flops?: number;
  readonly name?: string;
  readonly grid?: readonly Grid[];
  readonly specialReference?: boolean;
}

/** Rows in which a special value meets ordinary ones, at the start, inside and at the end. */
function specialRows(dtype: DType): { shape: Shape; values: number[] } {
  const values = specialValues[dtype].flatMap((x) => [x, 1, 0, 1, x, 0, 0, 1, x]);
  return { shape: [specialValues[dtype].length * 3, 3], values };
}

function reductionCase(o: ReductionOptions): OpCase {
  const result = o.result ?? sameDType;
  const samples = (dtype: DType): Sample[] => {
    const of = (
      { shape, axes, keepDim = false }: Grid,
      x = randomInput(shape, dtype, o.domain ?? standard, shape.length),
    ): Sample =>
      sample(
        `${shapeLabel(shape)} axes ${JSON.stringify(axes) ?? 'all'}${keepDim ? ' kept' : ''}`,
        [x],
        (t) => o.call(t!, axes, { keepDim }),
        {
          result: result(dtype),
          reference: (t) => reduceNd(t!, axes, keepDim, (values) => o.reference(values, dtype)),
        },
      );
    const rows = specialRows(dtype);
    const special = of({ shape: rows.shape, axes: 1 }, constantInput(input(rows.shape, dtype, rows.values)));
    const { reference: _, ...withoutReference } = special;
    return [
      ...[...(o.grid ?? grid), ...noResults, ...(o.empty ? emptyGrid : [])].map((row) => of(row)),
      ...viewSamples(of({ shape: [4, 6], axes: 1 })),
      ...viewSamples(of({ shape: [4, 6], axes: 0 }), ['transposed', 'strided']),
      {
        ...(o.specialReference === false ? withoutReference : special),
        label: 'special values',
        unjudged: specialShare,
      },
    ];
  };
  const flops = o.flops ?? 1;
  return {
    name: o.name ?? o.op,
    op: o.op,
    dtypes: o.dtypes,
    differentiable: o.differentiable ?? false,
    samples,
    flopsPerElement: ([shape]) => flops * count(shape ?? []),
  };
}

/** Sums and products of bool and uint8 are int32, as in NumPy and PyTorch (which have int64). */
const sumResult: DTypeRule = (dtype) => (dtype === 'bool' || dtype === 'uint8' ? 'int32' : dtype);

const exactly =
  (onFloats: (values: number[]) => number, onIntegers: (a: bigint, b: bigint) => bigint, start: bigint) =>
  (values: number[], dtype: DType): number =>
    isFloat(dtype)
      ? onFloats(values)
      : narrow(values.map(BigInt).reduce(onIntegers, start), sumResult(dtype));

const argGrid = grid.filter(
  ({ axes, shape }) => (axes === undefined || typeof axes === 'number') && shape.length > 0,
);

const argCase = (op: string, call: typeof argMax, better: (a: number, b: number) => boolean): OpCase =>
  reductionCase({
    op,
    dtypes: everything,
    result: () => 'int32',
    grid: argGrid,
    call: (x, axes, options) => call(x, axes as number | undefined, options),
    reference: (values) => extremePosition(values, better),
  });

const varied = (name: string, op: 'variance' | 'std', correction: number): OpCase =>
  reductionCase({
    name,
    op,
    dtypes: floats32And16,
    differentiable: true,
    flops: 4,
    grid: grid.filter(({ shape, axes }) => count(shape) > 1 && JSON.stringify(axes) !== '[]'),
    call: (x, axes, options) => (op === 'std' ? std : variance)(x, axes, { ...options, correction }),
    reference: (values) =>
      op === 'std' ? Math.sqrt(spreadOf(values, correction)) : spreadOf(values, correction),
    specialReference: false,
  });

const floats32And16: readonly DType[] = ['float32', 'float16', 'bfloat16'];

const normCase = (p: number): OpCase =>
  reductionCase({
    name: `norm p=${p}`,
    op: 'norm',
    dtypes: floats32And16,
    domain: p === Infinity ? { low: 0.3, high: 3, distinct: true } : offZero,
    differentiable: true,
    empty: p !== Infinity,
    flops: 2,
    call: (x, axes, options) => norm(x, axes, { ...options, p }),
    reference: pNorm(p),
    specialReference: p === 1 || p === Infinity, // the others square or cube before they sum, and overflow
  });

export const reductionCases: readonly OpCase[] = [
  reductionCase({
    op: 'sum',
    call: sum,
    dtypes: everything,
    result: sumResult,
    differentiable: true,
    empty: true,
    reference: exactly(total, (a, b) => a + b, 0n),
  }),
  reductionCase({
    op: 'prod',
    call: prod,
    dtypes: everything,
    result: sumResult,
    domain: { low: 0.8, high: 1.2 },
    differentiable: true,
    empty: true,
    reference: exactly(
      (values) => values.reduce((a, b) => a * b, 1),
      (a, b) => a * b,
      1n,
    ),
  }),
  reductionCase({
    op: 'mean',
    call: mean,
    dtypes: everything,
    result: floatResult,
    differentiable: true,
    empty: true,
    reference: average,
  }),
  reductionCase({
    op: 'max',
    call: max,
    dtypes: everything,
    domain: distinct,
    differentiable: true,
    reference: (values) => Math.max(...values),
  }),
  reductionCase({
    op: 'min',
    call: min,
    dtypes: everything,
    domain: distinct,
    differentiable: true,
    reference: (values) => Math.min(...values),
  }),
  varied('variance', 'variance', 1),
  varied('variance correction 0', 'variance', 0),
  varied('std', 'std', 1),
  argCase('argMax', argMax, (a, b) => a > b),
  argCase('argMin', argMin, (a, b) => a < b),
  reductionCase({
    op: 'any',
    call: any,
    dtypes: everything,
    result: boolResult,
    empty: true,
    reference: (values) => Number(values.some((x) => x !== 0)),
  }),
  reductionCase({
    op: 'all',
    call: all,
    dtypes: everything,
    result: boolResult,
    empty: true,
    reference: (values) => Number(values.every((x) => x !== 0)),
  }),
  reductionCase({
    op: 'logSumExp',
    call: logSumExp,
    dtypes: numbers,
    result: floatResult,
    differentiable: true,
    empty: true,
    flops: 12,
    reference: logOfExps,
  }),
  normCase(2),
  normCase(1),
  normCase(3),
  normCase(Infinity),
];

/** Long sums of terms of one sign and of cancelling ones: what a short grid cannot tell. */
export const longReductionCases: readonly OpCase[] = [
  {
    name: 'sum long',
    op: 'sum',
    dtypes: ['float32', 'int32'],
    differentiable: false,
    flopsPerElement: () => 1,
    samples: (dtype) =>
      [20_000, 32_769].flatMap((length) =>
        [positive, standard].map((domain) =>
          sample(
            `[${length}] from ${domain.low}`,
            [constantInput(randomInput([length], dtype, domain))],
            (x) => sum(x!),
            {
              reference: (x) => reduceNd(x!, undefined, false, total),
            },
          ),
        ),
      ),
  },
];
