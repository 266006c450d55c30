/** Normalisation and attention, by their formulas over rows. */

import type { Shape } from '@tutti/core';
import { batchNorm, layerNorm, logSoftmax, scaledDotProductAttention, softmax } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { broadcastMap, floatResult, mapValues, readBroadcast, sample, viewSamples } from './build.ts';
import type { Input, NdArray, OpCase, Sample } from './case.ts';
import { constantInput, everything, floats, input, positive, randomInput } from './inputs.ts';
import { matmulNd } from './products.ts';
import { alongAxis, logSoftmaxRow, row, softmaxRow, total } from './rows.ts';

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
  const formula = op === 'softmax' ? softmaxRow : logSoftmaxRow;
  const call = op === 'softmax' ? softmax : logSoftmax;
  const of = (shape: Shape, axis: number, x: Input = randomInput(shape, dtype)): Sample =>
    sample(`[${shape.join(', ')}] axis ${axis}`, [x], (t) => call(t!, axis), {
      result: floatResult(dtype),
      reference: (t) => alongAxis(t!, axis, formula),
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
      reference: (t) => alongAxis(t!, -1, formula),
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

export const networkCases: readonly OpCase[] = [
  row('softmax', everything, (dtype) => softmaxSamples('softmax', dtype), 15),
  row('logSoftmax', everything, (dtype) => softmaxSamples('logSoftmax', dtype), 15),
  row('layerNorm', floats, layerNormSamples, 10),
  row('batchNorm', floats, batchNormSamples, 4),
  row('scaledDotProductAttention', floats, attentionSamples, 100),
];
