/** Losses, by their formulas. */

import type { Shape, Tensor } from '@tutti/core';
import { binaryCrossEntropyWithLogits, crossEntropy, huberLoss, l1Loss, mseLoss, nllLoss } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { broadcastMap, sample, viewSamples } from './build.ts';
import type { Input, NdArray, OpCase, Sample } from './case.ts';
import { constantInput, floats, indexInput, input, offZero, randomInput } from './inputs.ts';
import { reduceNd } from './reductions.ts';
import { alongAxis, logSoftmaxRow, row, total } from './rows.ts';

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

const bce = (x: number, y: number): number => Math.max(x, 0) - x * y + Math.log1p(Math.exp(-Math.abs(x)));

export const lossCases: readonly OpCase[] = [
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
];

function mapInput(of: Input, f: (x: number) => number): Input {
  return { ...input(of.shape, of.dtype, of.values.map(f)), differentiable: of.differentiable };
}
