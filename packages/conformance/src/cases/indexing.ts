/** Reading and writing at positions that are data. */

import type { Shape } from '@tutti/core';
import { embedding, gather, oneHot, scatter, scatterAdd, take } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { wrap } from '../oracle/numbers.ts';
import { sample, shapeLabel, viewSamples } from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { everything, floats, indexInput, integers, numbers, randomInput } from './inputs.ts';

const normal = (axis: number, shape: Shape): number => (axis < 0 ? axis + shape.length : axis);

const at = (index: readonly number[], axis: number, i: number): number[] =>
  index.map((own, a) => (a === axis ? i : own));

function gatherSamples(dtype: DType): Sample[] {
  const of = (x: Shape, index: Shape, axis: number, indexDType: DType = 'int32'): Sample => {
    const along = normal(axis, x);
    const inputs = [randomInput(x, dtype), indexInput(index, x[along]!, 1, indexDType)];
    return sample(
      `${shapeLabel(x, index)} axis ${axis} ${indexDType}`,
      inputs,
      (t, i) => gather(t!, i!, axis),
      {
        reference: (t, i) => {
          const values = new Float64Array(count(index));
          forEachIndex(index, (place, flat) => {
            values[flat] = t!.values[position(at(place, along, i!.values[flat]!), x)]!;
          });
          return { shape: index, values };
        },
      },
    );
  };
  return [
    of([5], [3], 0),
    of([3, 4], [3, 2], 1),
    of([3, 4], [5, 4], 0),
    of([2, 3, 4], [2, 3, 1], -1),
    of([5], [7], 0, 'uint8'),
    of([5], [7], 0, 'uint32'),
    of([3, 4], [3, 0], 1),
    of([9, 33], [9, 17], 1),
    ...viewSamples(of([4, 6], [4, 6], 1), ['transposed', 'strided', 'offset']),
  ];
}

/** Whole slices at the positions of an index of any shape. */
function taken(x: NdArray, index: NdArray, axis: number): NdArray {
  const before = x.shape.slice(0, axis);
  const after = x.shape.slice(axis + 1);
  const shape = [...before, ...index.shape, ...after];
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (place, flat) => {
    const which = place.slice(axis, axis + index.shape.length);
    const source = [
      ...place.slice(0, axis),
      index.values[position(which, index.shape)]!,
      ...place.slice(axis + index.shape.length),
    ];
    values[flat] = x.values[position(source, x.shape)]!;
  });
  return { shape, values };
}

function takeSamples(dtype: DType): Sample[] {
  const of = (x: Shape, index: Shape, axis?: number): Sample => {
    const limit = axis === undefined ? count(x) : x[normal(axis, x)]!;
    return sample(
      `${shapeLabel(x, index)} axis ${axis ?? 'none'}`,
      [randomInput(x, dtype), indexInput(index, limit, 2)],
      (t, i) => take(t!, i!, axis),
      {
        reference: (t, i) =>
          axis === undefined
            ? taken({ shape: [count(x)], values: t!.values }, i!, 0)
            : taken(t!, i!, normal(axis, x)),
      },
    );
  };
  return [
    of([5], [3], 0),
    of([4, 3], [2, 2], 0),
    of([4, 3], [], 1),
    of([2, 5, 3], [4], -2),
    of([3, 4], [6]),
    of([4, 3], [0], 0),
    ...viewSamples(of([4, 6], [5], 1), ['transposed', 'flipped']),
  ];
}

function oneHotSamples(dtype: DType): Sample[] {
  const of = (index: Shape, classes: number, to: DType): Sample =>
    sample(
      `${shapeLabel(index)} of ${classes} as ${to}`,
      [indexInput(index, classes, 3, dtype)],
      (i) => oneHot(i!, classes, { dtype: to }),
      {
        result: to,
        reference: (i) => ({
          shape: [...index, classes],
          values: Float64Array.from({ length: count(index) * classes }, (_, flat) =>
            Number(i!.values[Math.floor(flat / classes)] === flat % classes),
          ),
        }),
      },
    );
  return [
    of([], 3, 'float32'),
    of([5], 4, 'float32'),
    of([2, 3], 1, 'int32'),
    of([0], 4, 'float32'),
    of([6], 7, 'bool'),
    of([4], 5, 'float16'),
  ];
}

function scatterReference(
  x: NdArray,
  index: NdArray,
  updates: NdArray,
  axis: number,
  dtype: DType,
  add: boolean,
): NdArray {
  const values = Float64Array.from(x.values);
  forEachIndex(index.shape, (place, flat) => {
    const target = position(at(place, axis, index.values[flat]!), x.shape);
    const update = updates.values[flat]!;
    values[target] = add ? wrap(values[target]! + update, dtype) : update;
  });
  return { shape: x.shape, values };
}

function scatterSamples(op: 'scatter' | 'scatterAdd', dtype: DType): Sample[] {
  const add = op === 'scatterAdd';
  const of = (x: Shape, index: Shape, axis: number, seed = 1): Sample => {
    const along = normal(axis, x);
    const inputs = [
      randomInput(x, dtype, undefined, 1),
      indexInput(index, x[along]!, seed),
      randomInput(index, dtype, undefined, 2),
    ];
    return sample(
      `${shapeLabel(x, index)} axis ${axis}`,
      inputs,
      (t, i, u) => (add ? scatterAdd : scatter)(t!, i!, u!, axis),
      {
        reference: (t, i, u) => scatterReference(t!, i!, u!, along, dtype, add),
      },
    );
  };
  return [
    of([5], [3], 0),
    of([3], [9], 0),
    of([3, 4], [3, 7], 1),
    of([3, 4], [6, 4], 0),
    of([2, 3, 4], [2, 3, 2], -1),
    of([4], [0], 0),
    of([8, 5], [33, 5], 0, 4),
    ...viewSamples(of([4, 6], [4, 6], 0), ['transposed', 'offset']),
  ];
}

function embeddingSamples(dtype: DType): Sample[] {
  const of = (rows: number, width: number, index: Shape): Sample =>
    sample(
      `[${rows}, ${width}] ${shapeLabel(index)}`,
      [randomInput([rows, width], dtype), indexInput(index, rows, 5)],
      (w, i) => embedding(w!, i!),
      {
        reference: (w, i) => taken(w!, i!, 0),
      },
    );
  return [of(5, 3, []), of(5, 3, [4]), of(7, 4, [2, 3]), of(3, 1, [6]), of(4, 9, [0])];
}

export const indexingCases: readonly OpCase[] = [
  {
    name: 'gather',
    op: 'gather',
    dtypes: everything,
    differentiable: true,
    samples: gatherSamples,
    flopsPerElement: () => 0,
  },
  {
    name: 'take',
    op: 'take',
    dtypes: everything,
    differentiable: true,
    samples: takeSamples,
    flopsPerElement: () => 0,
  },
  {
    name: 'oneHot',
    op: 'oneHot',
    dtypes: integers,
    differentiable: false,
    samples: oneHotSamples,
    flopsPerElement: () => 1,
  },
  {
    name: 'scatter',
    op: 'scatter',
    dtypes: everything,
    differentiable: true,
    samples: (dtype) => scatterSamples('scatter', dtype),
    flopsPerElement: () => 0,
  },
  {
    name: 'scatterAdd',
    op: 'scatterAdd',
    dtypes: numbers,
    differentiable: true,
    samples: (dtype) => scatterSamples('scatterAdd', dtype),
    flopsPerElement: () => 1,
  },
  {
    name: 'embedding',
    op: 'embedding',
    dtypes: floats,
    differentiable: true,
    samples: embeddingSamples,
    flopsPerElement: () => 0,
  },
];
