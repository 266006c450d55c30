/** Joining and taking apart, by walking the parts. */

import type { Shape } from '@tutti/core';
import { chunk, concat, split, stack } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { sample, viewSamples } from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { everything, randomInput } from './inputs.ts';
import { fromSource } from './moves.ts';

const joinInputs = (shapes: readonly Shape[], dtype: DType) =>
  shapes.map((shape, i) => randomInput(shape, dtype, undefined, i + 1));

/** The parts one after the other along an axis, read by walking them. */
function joined(parts: readonly NdArray[], axis: number): NdArray {
  const shape = parts[0]!.shape.map((extent, a) =>
    a === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : extent,
  );
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (index, flat) => {
    let at = index[axis]!;
    const part = parts.find((candidate) => {
      const inside = at < candidate.shape[axis]!;
      if (!inside) at -= candidate.shape[axis]!;
      return inside;
    })!;
    values[flat] =
      part.values[
        position(
          index.map((i, a) => (a === axis ? at : i)),
          part.shape,
        )
      ]!;
  });
  return { shape, values };
}

function concatSamples(dtype: DType): Sample[] {
  const of = (shapes: readonly Shape[], axis: number): Sample => {
    const at = axis < 0 ? axis + shapes[0]!.length : axis;
    return sample(
      `${JSON.stringify(shapes)} axis ${axis}`,
      joinInputs(shapes, dtype),
      (...xs) => concat(xs, axis),
      {
        reference: (...xs) => joined(xs, at),
      },
    );
  };
  return [
    of([[2], [3]], 0),
    of(
      [
        [2, 3],
        [1, 3],
        [4, 3],
      ],
      0,
    ),
    of(
      [
        [2, 3],
        [2, 1],
      ],
      -1,
    ),
    of(
      [
        [2, 0],
        [2, 3],
      ],
      1,
    ),
    of([[0], [0]], 0),
    of([[1], [1], [1], [1], [1]], 0),
    of([[3, 2, 2]], 1),
    ...viewSamples(
      of(
        [
          [4, 6],
          [4, 6],
        ],
        1,
      ),
    ),
  ];
}

function stackSamples(dtype: DType): Sample[] {
  const of = (shape: Shape, parts: number, axis: number): Sample => {
    const at = axis < 0 ? axis + shape.length + 1 : axis;
    const shapes = Array.from({ length: parts }, () => shape);
    return sample(
      `${parts} of [${shape.join(', ')}] axis ${axis}`,
      joinInputs(shapes, dtype),
      (...xs) => stack(xs, axis),
      {
        reference: (...xs) => {
          const lifted = xs.map((x) => ({
            shape: [...shape.slice(0, at), 1, ...shape.slice(at)],
            values: x.values,
          }));
          return joined(lifted, at);
        },
      },
    );
  };
  return [
    of([], 3, 0),
    of([5], 2, 0),
    of([2, 3], 3, 1),
    of([2, 3], 2, -1),
    of([0, 2], 2, 0),
    ...viewSamples(of([4, 6], 2, 1)),
  ];
}

function splitSamples(dtype: DType, op: 'split' | 'chunk'): Sample[] {
  const of = (
    shape: Shape,
    parts: number | readonly number[],
    axis: number,
    sizes: readonly number[],
  ): Sample => {
    const at = axis < 0 ? axis + shape.length : axis;
    const call: Sample['call'] = (x) =>
      op === 'split' ? split(x!, parts, axis) : chunk(x!, parts as number, axis);
    return sample(
      `[${shape.join(', ')}] ${JSON.stringify(parts)} axis ${axis}`,
      [randomInput(shape, dtype)],
      call,
      {
        reference: (x) => {
          let start = 0;
          return sizes.map((size) => {
            const first = start;
            start += size;
            return fromSource(
              x!,
              shape.map((extent, a) => (a === at ? size : extent)),
              (index) => index.map((i, a) => (a === at ? i + first : i)),
            );
          });
        },
      },
    );
  };
  if (op === 'chunk')
    return [
      of([7], 3, 0, [3, 3, 1]),
      of([2, 6], 2, -1, [3, 3]),
      of([3, 2], 1, 0, [3]),
      of([2], 4, 0, [1, 1]),
    ];
  return [
    of([6], 3, 0, [2, 2, 2]),
    of([2, 6], [1, 2, 3], 1, [1, 2, 3]),
    of([4, 6], [4, 0], 0, [4, 0]),
    ...viewSamples(of([4, 6], 2, 1, [3, 3])),
  ];
}

const listCase = (op: string, samples: (dtype: DType) => Sample[]): OpCase => ({
  name: op,
  op,
  dtypes: everything,
  differentiable: true,
  samples,
  flopsPerElement: () => 0,
});

export const joinCases: readonly OpCase[] = [
  listCase('concat', concatSamples),
  listCase('stack', stackSamples),
  listCase('split', (dtype) => splitSamples(dtype, 'split')),
  listCase('chunk', (dtype) => splitSamples(dtype, 'chunk')),
];
