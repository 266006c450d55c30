/** Normalisation, losses and attention, by their formulas over rows. */

import type { Shape, Tensor } from '@tutti/core';
import {
  batchNorm,
  binaryCrossEntropyWithLogits,
  crossEntropy,
  huberLoss,
  l1Loss,
  layerNorm,
  logSoftmax,
  mseLoss,
  nllLoss,
  scaledDotProductAttention,
  softmax,
} from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { broadcastMap, floatResult, mapValues, readBroadcast, sample, viewSamples } from './build.ts';
import type { Input, NdArray, OpCase, Sample } from './case.ts';
import {
  constantInput,
  everything,
  floats,
  indexInput,
  input,
  offZero,
  positive,
  randomInput,
} from './inputs.ts';
import { matmulNd } from './products.ts';
import { reduceNd } from './reductions.ts';

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** Applies a function to every row along an axis. */
function alongAxis(x: NdArray, axis: number, f: (row: number[]) => readonly number[]): NdArray {
  const at = axis < 0 ? axis + x.shape.length : axis;
  const values = new Float64Array(count(x.shape));
  const extent = x.shape[at]!;
  forEachIndex(
    x.shape.map((own, a) => (a === at ? 1 : own)),
    (index) => {
      const places = Array.from({ length: extent }, (_, i) =>
        position(
          index.map((own, a) => (a === at ? i : own)),
          x.shape,
        ),
      );
      const row = f(places.map((place) => x.values[place]!));
      for (const [i, place] of places.entries()) values[place] = row[i]!;
    },
  );
  return { shape: x.shape, values };
}

function softmaxRow(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const powers = row.map((x) => Math.exp(x - top));
  const sum = total(powers);
  return powers.map((x) => x / sum);
}

function logSoftmaxRow(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const level = top + Math.log(total(row.map((x) => Math.exp(x - top))));
  return row.map((x) => x - level);
}

/** Rows whose exponentials overflow, rows with infinities, and rows of one element. */
const hardRows = [
  1000,
  999,
  998,
  -1000,
  -1001,
  -999,
  0,
  0,
  0,
  88,
  89,
  -89,
  -Infinity,
  0,
  1,
  -Infinity,
  -Infinity,
  5,
];

function softmaxSamples(op: 'softmax' | 'logSoftmax', dtype: DType): Sample[] {
  const row = op === 'softmax' ? softmaxRow : logSoftmaxRow;
  const call = op === 'softmax' ? softmax : logSoftmax;
  const of = (shape: Shape, axis: number, x: Input = randomInput(shape, dtype)): Sample =>
    sample(`[${shape.join(', ')}] axis ${axis}`, [x], (t) => call(t!, axis), {
      result: floatResult(dtype),
      reference: (t) => alongAxis(t!, axis, row),
    });
  const hard = dtype.includes('float')
    ? [{ ...of([6, 3], 1, constantInput(input([6, 3], dtype, hardRows))), label: 'hard rows' }]
    : [];
  return [
    of([5], 0),
    of([1], -1),
    of([3, 4], -1),
    of([3, 4], 0),
    of([2, 3, 5], 1),
    of([7, 33], -1),
    of([2, 130], -1),
    of([0, 3], -1),
    of([3, 0], 0),
    ...viewSamples(of([4, 6], -1)),
    ...hard,
    sample('default axis', [randomInput([3, 4], dtype)], (t) => call(t!), {
      result: floatResult(dtype),
      reference: (t) => alongAxis(t!, -1, row),
    }),
  ];
}

function normalised(row: readonly number[], eps: number): number[] {
  const mean = total(row) / row.length;
  const variance = total(row.map((x) => (x - mean) ** 2)) / row.length;
  return row.map((x) => (x - mean) / Math.sqrt(variance + eps));
}

function layerNormSamples(dtype: DType): Sample[] {
  const of = (shape: Shape, over: number | Shape, affine: boolean, eps?: number): Sample => {
    const tail = typeof over === 'number' ? shape.slice(shape.length - over) : over;
    const inputs = [randomInput(shape, dtype)];
    if (affine) inputs.push(randomInput(tail, dtype, undefined, 2), randomInput(tail, dtype, undefined, 3));
    const call: Sample['call'] = (x, weight, bias) =>
      layerNorm(x!, over, {
        ...(weight ? { weight } : {}),
        ...(bias ? { bias } : {}),
        ...(eps === undefined ? {} : { eps }),
      });
    return sample(
      `[${shape.join(', ')}] over ${JSON.stringify(over)}${affine ? ' affine' : ''}`,
      inputs,
      call,
      {
        reference: (x, weight, bias) => {
          const rows = { shape: [count(shape) / count(tail), count(tail)], values: x!.values };
          const normal = { shape, values: alongAxis(rows, 1, (row) => normalised(row, eps ?? 1e-5)).values };
          return affine
            ? broadcastMap(
                broadcastMap(normal, weight!, (a, b) => a * b),
                bias!,
                (a, b) => a + b,
              )
            : normal;
        },
      },
    );
  };
  return [
    of([3, 8], 1, false),
    of([3, 8], 1, true),
    of([2, 3, 4], 2, true),
    of([2, 3, 4], [4], true, 0.1),
    of([7, 33], 1, true),
    ...viewSamples(of([4, 6], 1, false)),
  ];
}

function batchNormSamples(dtype: DType): Sample[] {
  const of = (shape: Shape, affine: boolean, eps = 1e-5): Sample => {
    const channels = [shape[1]!];
    const inputs = [
      randomInput(shape, dtype),
      randomInput(channels, 'float32', undefined, 4),
      randomInput(channels, 'float32', positive, 5),
    ];
    if (affine)
      inputs.push(
        randomInput(channels, 'float32', undefined, 6),
        randomInput(channels, 'float32', undefined, 7),
      );
    const call: Sample['call'] = (x, mean, variance, weight, bias) =>
      batchNorm(x!, {
        mean: mean!,
        variance: variance!,
        eps,
        ...(weight ? { weight } : {}),
        ...(bias ? { bias } : {}),
      });
    return sample(`[${shape.join(', ')}]${affine ? ' affine' : ''}`, inputs, call, {
      reference: (x, mean, variance, weight, bias) => {
        const values = new Float64Array(count(shape));
        forEachIndex(shape, (index, flat) => {
          const c = index[1]!;
          const normal = (x!.values[flat]! - mean!.values[c]!) / Math.sqrt(variance!.values[c]! + eps);
          values[flat] = normal * (weight ? weight.values[c]! : 1) + (bias ? bias.values[c]! : 0);
        });
        return { shape, values };
      },
    });
  };
  return [
    of([4, 3], false),
    of([2, 3, 4, 5], true),
    of([2, 3, 7], true, 0.01),
    of([0, 2, 3], true),
    of([1, 1, 1, 1], false),
  ];
}

type Reduction = 'mean' | 'sum' | 'none';

const reduced = (losses: NdArray, reduction: Reduction): NdArray => {
  if (reduction === 'none') return losses;
  return reduceNd(
    losses,
    undefined,
    false,
    (values) => total(values) / (reduction === 'mean' ? values.length : 1),
  );
};

interface LossOptions {
  readonly op: string;
  readonly call: (x: Tensor, target: Tensor, options: { reduction: Reduction }) => Tensor;
  readonly reference: (x: number, target: number) => number;
  readonly target?: (shape: Shape, dtype: DType) => Input;
}

/** A loss of one number for each element. */
function lossCase({ op, call, reference, target }: LossOptions): OpCase {
  const samples = (dtype: DType): Sample[] => {
    const goal = target ?? ((shape: Shape, of: DType) => randomInput(shape, of, { low: -8, high: -4 }, 9));
    const of = (shape: Shape, reduction: Reduction): Sample =>
      sample(
        `[${shape.join(', ')}] ${reduction}`,
        [randomInput(shape, dtype), goal(shape, dtype)],
        (x, t) => call(x!, t!, { reduction }),
        {
          reference: (x, t) => reduced(broadcastMap(x!, t!, reference), reduction),
        },
      );
    return [
      of([5], 'mean'),
      of([3, 4], 'sum'),
      of([3, 4], 'none'),
      of([], 'mean'),
      of([7, 33], 'mean'),
      of([0], 'sum'),
      ...viewSamples(of([4, 6], 'mean'), ['transposed']),
    ];
  };
  return {
    name: op,
    op,
    dtypes: floats,
    differentiable: true,
    samples,
    flopsPerElement: ([shape]) => 3 * count(shape ?? []),
  };
}

const huber =
  (delta: number) =>
  (x: number, target: number): number => {
    const distance = Math.abs(x - target);
    return distance <= delta ? distance ** 2 / 2 : delta * (distance - delta / 2);
  };

interface LabelOptions {
  readonly reduction: Reduction;
  readonly smoothing?: number;
  readonly axis?: number;
  readonly ignore?: number;
}

/** -log p[label] of every row, with smoothing towards the mean over classes. */
function labelLosses(
  logProbabilities: NdArray,
  labels: NdArray,
  axis: number,
  smoothing: number,
  ignore?: number,
): number[] {
  const classes = logProbabilities.shape[axis]!;
  const losses: number[] = [];
  forEachIndex(labels.shape, (index, flat) => {
    const label = labels.values[flat]!;
    const at = (c: number): number =>
      logProbabilities.values[
        position([...index.slice(0, axis), c, ...index.slice(axis)], logProbabilities.shape)
      ]!;
    const even = total(Array.from({ length: classes }, (_, c) => at(c))) / classes;
    losses.push(label === ignore ? Number.NaN : -(1 - smoothing) * at(label) - smoothing * even);
  });
  return losses;
}

function reduceLabels(losses: readonly number[], shape: Shape, reduction: Reduction): NdArray {
  const counted = losses.filter((loss) => !Number.isNaN(loss));
  if (reduction === 'none') return { shape, values: losses.map((loss) => (Number.isNaN(loss) ? 0 : loss)) };
  return { shape: [], values: [total(counted) / (reduction === 'mean' ? counted.length : 1)] };
}

function labelSamples(op: 'crossEntropy' | 'nllLoss', dtype: DType): Sample[] {
  const of = (shape: Shape, options: LabelOptions): Sample => {
    const { reduction, smoothing, axis, ignore } = options;
    const at = axis === undefined ? Math.min(1, shape.length - 1) : axis < 0 ? axis + shape.length : axis;
    const labelShape = shape.filter((_, a) => a !== at);
    const drawn = indexInput(labelShape, shape[at]!, 3);
    const labels =
      ignore === undefined
        ? drawn
        : { ...drawn, values: drawn.values.map((label, i) => (i % 3 === 1 ? ignore : label)) };
    const call: Sample['call'] = (x, y) => {
      const common = {
        reduction,
        ...(axis === undefined ? {} : { axis }),
        ...(ignore === undefined ? {} : { ignoreIndex: ignore }),
      };
      return op === 'nllLoss'
        ? nllLoss(x!, y!, common)
        : crossEntropy(x!, y!, {
            ...common,
            ...(smoothing === undefined ? {} : { labelSmoothing: smoothing }),
          });
    };
    return sample(
      `[${shape.join(', ')}] ${JSON.stringify(options)}`,
      [randomInput(shape, dtype), labels],
      call,
      {
        reference: (x, y) => {
          const logs = op === 'crossEntropy' ? alongAxis(x!, at, logSoftmaxRow) : x!;
          return reduceLabels(labelLosses(logs, y!, at, smoothing ?? 0, ignore), labelShape, reduction);
        },
      },
    );
  };
  const smoothed: Sample[] =
    op === 'nllLoss'
      ? []
      : [
          of([4, 5], { reduction: 'mean', smoothing: 0.1 }),
          of([2, 3, 4], { reduction: 'none', smoothing: 0.3 }),
        ];
  return [
    of([4, 5], { reduction: 'mean' }),
    of([4, 5], { reduction: 'sum' }),
    of([4, 5], { reduction: 'none' }),
    of([5], { reduction: 'mean' }),
    of([2, 3, 4, 2], { reduction: 'mean' }),
    of([3, 4, 5], { reduction: 'sum', axis: -1 }),
    of([6, 5], { reduction: 'mean', ignore: -100 }),
    of([33, 10], { reduction: 'mean' }),
    ...smoothed,
    ...viewSamples(of([4, 6], { reduction: 'mean' }), []),
  ];
}

/** Class probabilities in place of labels. */
function softTargetSamples(dtype: DType): Sample[] {
  const target: Input = constantInput(
    input([3, 4], dtype, [0.5, 0.5, 0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0, 1, 0]),
  );
  return [0, 0.2].map((labelSmoothing) =>
    sample(
      `smoothing ${labelSmoothing}`,
      [randomInput([3, 4], dtype), target],
      (x, t) => crossEntropy(x!, t!, { labelSmoothing }),
      {
        reference: (x, t) => {
          const logs = alongAxis(x!, 1, logSoftmaxRow);
          const losses = broadcastMap(
            logs,
            t!,
            (log, p) => -log * (p * (1 - labelSmoothing) + labelSmoothing / 4),
          );
          return { shape: [], values: [total(Array.from(losses.values)) / 3] };
        },
      },
    ),
  );
}

interface AttentionGrid {
  readonly q: Shape;
  readonly k: Shape;
  readonly v: Shape;
  readonly causal?: boolean;
  readonly scale?: number;
  readonly mask?: 'bool' | 'float32';
}

const transposedLast = (x: NdArray): NdArray => {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const shape = [...x.shape.slice(0, -2), columns, rows];
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (index, flat) => {
    const source = [...index.slice(0, -2), index[index.length - 1]!, index[index.length - 2]!];
    values[flat] = x.values[position(source, x.shape)]!;
  });
  return { shape, values };
};

function attention(
  q: NdArray,
  k: NdArray,
  v: NdArray,
  mask: NdArray | undefined,
  grid: AttentionGrid,
): NdArray {
  const scale = grid.scale ?? 1 / Math.sqrt(q.shape[q.shape.length - 1]!);
  const scores = mapValues(matmulNd(q, transposedLast(k)), (score) => score * scale);
  const masked = new Float64Array(count(scores.shape));
  forEachIndex(scores.shape, (index, flat) => {
    const [i, j] = index.slice(-2) as [number, number];
    const other = mask ? readBroadcast(mask, index) : 0;
    const hidden = (grid.causal && j > i) || (grid.mask === 'bool' && !other);
    masked[flat] = hidden ? -Infinity : scores.values[flat]! + (grid.mask === 'float32' ? other : 0);
  });
  return matmulNd(alongAxis({ shape: scores.shape, values: masked }, -1, softmaxRow), v);
}

const attentionGrid: readonly AttentionGrid[] = [
  { q: [4, 3], k: [5, 3], v: [5, 2] },
  { q: [2, 3, 4, 8], k: [2, 3, 6, 8], v: [2, 3, 6, 5] },
  { q: [2, 5, 4], k: [2, 5, 4], v: [2, 5, 4], causal: true },
  { q: [3, 4], k: [4, 4], v: [4, 4], scale: 0.25, mask: 'float32' },
  { q: [2, 3, 4], k: [2, 4, 4], v: [2, 4, 3], mask: 'bool' },
];

function attentionSamples(dtype: DType): Sample[] {
  return attentionGrid.map((grid) => {
    const scores = [grid.q[grid.q.length - 2]!, grid.k[grid.k.length - 2]!];
    const inputs = [
      randomInput(grid.q, dtype, undefined, 1),
      randomInput(grid.k, dtype, undefined, 2),
      randomInput(grid.v, dtype, undefined, 3),
    ];
    if (grid.mask === 'float32') inputs.push(randomInput(scores, 'float32', undefined, 4));
    // Every query sees at least its first key.
    if (grid.mask === 'bool')
      inputs.push(
        input(
          scores,
          'bool',
          Array.from({ length: count(scores) }, (_, i) => Number(i % scores[1]! === 0 || i % 3 !== 0)),
        ),
      );
    const { causal, scale } = grid;
    const options = {
      ...(causal === undefined ? {} : { causal }),
      ...(scale === undefined ? {} : { scale }),
    };
    return sample(
      JSON.stringify(grid),
      inputs,
      (q, k, v, mask) => scaledDotProductAttention(q!, k!, v!, { ...options, ...(mask ? { mask } : {}) }),
      {
        reference: (q, k, v, mask) => attention(q!, k!, v!, mask, grid),
      },
    );
  });
}

const bce = (x: number, y: number): number => Math.max(x, 0) - x * y + Math.log1p(Math.exp(-Math.abs(x)));

const row = (
  name: string,
  dtypes: readonly DType[],
  samples: (dtype: DType) => Sample[],
  flops: number,
  op = name,
): OpCase => ({
  name,
  op,
  dtypes,
  differentiable: true,
  samples,
  flopsPerElement: () => flops,
});

export const networkCases: readonly OpCase[] = [
  row('softmax', everything, (dtype) => softmaxSamples('softmax', dtype), 15),
  row('logSoftmax', everything, (dtype) => softmaxSamples('logSoftmax', dtype), 15),
  row('layerNorm', floats, layerNormSamples, 10),
  row('batchNorm', floats, batchNormSamples, 4),
  lossCase({ op: 'mseLoss', call: mseLoss, reference: (x, t) => (x - t) ** 2 }),
  lossCase({ op: 'l1Loss', call: l1Loss, reference: (x, t) => Math.abs(x - t) }),
  lossCase({ op: 'huberLoss', call: huberLoss, reference: huber(1) }),
  {
    ...lossCase({
      op: 'huberLoss',
      call: (x, t, options) => huberLoss(x, t, { ...options, delta: 0.7 }),
      reference: huber(0.7),
      target: (shape, dtype) => mapInput(randomInput(shape, dtype, offZero), (x) => x + 0.3),
    }),
    name: 'huberLoss delta',
  },
  lossCase({
    op: 'binaryCrossEntropyWithLogits',
    call: binaryCrossEntropyWithLogits,
    reference: bce,
    target: (shape, dtype) => randomInput(shape, dtype, { low: 0, high: 1 }, 9),
  }),
  row('crossEntropy', floats, (dtype) => labelSamples('crossEntropy', dtype), 20),
  row('crossEntropy probabilities', floats, softTargetSamples, 20, 'crossEntropy'),
  row('nllLoss', floats, (dtype) => labelSamples('nllLoss', dtype), 2),
  row('scaledDotProductAttention', floats, attentionSamples, 100),
];

function mapInput(of: Input, f: (x: number) => number): Input {
  return { ...input(of.shape, of.dtype, of.values.map(f)), differentiable: of.differentiable };
}
