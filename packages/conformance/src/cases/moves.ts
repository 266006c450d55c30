/** Movement: every dtype, every element bit for bit where it belongs. References work on multi-indices. */

import type { Shape, Tensor } from '@tutti/core';
import {
  broadcastTo,
  expand,
  flatten,
  flip,
  pad,
  permute,
  reshape,
  slice,
  squeeze,
  tile,
  transpose,
  unfold,
  unsqueeze,
} from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { sample, viewSamples } from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { constantInput, everything, input, randomInput, specialValues } from './inputs.ts';

/** A result whose element at `index` is `x` at `source(index)`, or `outside` where that is undefined. */
export function fromSource(
  x: NdArray,
  shape: Shape,
  source: (index: readonly number[]) => readonly number[] | undefined,
  outside = 0,
): NdArray {
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (index, flat) => {
    const at = source(index);
    values[flat] = at ? x.values[position(at, x.shape)]! : outside;
  });
  return { shape, values };
}

interface Move {
  readonly label: string;
  readonly shape: Shape;
  readonly call: (x: Tensor) => Tensor;
  readonly out: Shape;
  readonly source: (index: readonly number[]) => readonly number[] | undefined;
  readonly outside?: number;
}

const flatSource =
  (from: Shape, to: Shape) =>
  (index: readonly number[]): number[] => {
    let flat = position(index, to);
    return [...from]
      .reverse()
      .map((extent) => {
        const i = flat % extent;
        flat = Math.floor(flat / extent);
        return i;
      })
      .reverse();
  };

const reshaped = (label: string, shape: Shape, out: Shape, call: (x: Tensor) => Tensor): Move => ({
  label,
  shape,
  out,
  call,
  source: flatSource(shape, out),
});

/** An operand in which special values stand among ordinary ones: movement keeps every bit. */
function movedInput(shape: Shape, dtype: DType, seed: number) {
  const ordinary = randomInput(shape, dtype, undefined, seed);
  const special = specialValues[dtype];
  const mixed = ordinary.values.map((x, i) =>
    i % 3 === 2 ? special[Math.floor(i / 3) % special.length]! : x,
  );
  return constantInput(input(shape, dtype, mixed));
}

function moveCase(op: string, moves: readonly Move[], differentiable = true): OpCase {
  const samples = (dtype: DType): Sample[] =>
    moves.flatMap((move, i) => {
      const outside = dtype === 'bool' ? Number(Boolean(move.outside)) : move.outside;
      const more = { reference: (x?: NdArray) => fromSource(x!, move.out, move.source, outside) };
      const call: Sample['call'] = (x) => move.call(x!);
      const one = sample(move.label, [randomInput(move.shape, dtype, undefined, i)], call, more);
      const special = sample(`special ${move.label}`, [movedInput(move.shape, dtype, i)], call, more);
      const viewed = move.shape.length > 1 && i % 2 === 0 ? viewSamples(one) : [];
      return [one, special, ...viewed];
    });
  return { name: op, op, dtypes: everything, differentiable, samples, flopsPerElement: () => 0 };
}

const swapped = (index: readonly number[], a: number, b: number): number[] =>
  index.map((i, axis) => (axis === a ? index[b]! : axis === b ? index[a]! : i));

const padMove = (shape: Shape, padding: readonly (readonly [number, number])[], value?: number): Move => ({
  label: `[${shape.join(', ')}] by ${JSON.stringify(padding)}${value === undefined ? '' : ` with ${value}`}`,
  shape,
  out: shape.map((extent, axis) => padding[axis]![0] + extent + padding[axis]![1]),
  call: (x) =>
    value === undefined
      ? pad(x, padding)
      : pad(x, padding, { value: x.dtype === 'bool' ? Boolean(value) : value }),
  source: (index) => {
    const at = index.map((i, axis) => i - padding[axis]![0]);
    return at.every((i, axis) => i >= 0 && i < shape[axis]!) ? at : undefined;
  },
  outside: value ?? 0,
});

const flipMove = (
  shape: Shape,
  axes: readonly number[] | number | undefined,
  list: readonly number[],
): Move => ({
  label: `[${shape.join(', ')}] axes ${JSON.stringify(axes) ?? 'all'}`,
  shape,
  out: shape,
  call: (x) => flip(x, axes),
  source: (index) => index.map((i, axis) => (list.includes(axis) ? shape[axis]! - 1 - i : i)),
});

const tileMove = (shape: Shape, repeats: readonly number[], out: Shape): Move => ({
  label: `[${shape.join(', ')}] ${JSON.stringify(repeats)} times`,
  shape,
  out,
  call: (x) => tile(x, repeats),
  source: (index) => index.slice(index.length - shape.length).map((i, axis) => i % shape[axis]!),
});

const unfoldMove = (shape: Shape, axis: number, size: number, step: number, dilation: number): Move => {
  const at = axis < 0 ? axis + shape.length : axis;
  const windows = Math.floor((shape[at]! - (size - 1) * dilation - 1) / step) + 1;
  return {
    label: `[${shape.join(', ')}] axis ${axis} size ${size} step ${step} dilation ${dilation}`,
    shape,
    out: [...shape.map((extent, a) => (a === at ? windows : extent)), size],
    call: (x) => unfold(x, axis, size, step, dilation),
    source: (index) =>
      index.slice(0, -1).map((i, a) => (a === at ? i * step + index[index.length - 1]! * dilation : i)),
  };
};

const grow = (shape: Shape, to: readonly number[], out: Shape, call: (x: Tensor) => Tensor): Move => ({
  label: `[${shape.join(', ')}] to [${to.join(', ')}]`,
  shape,
  out,
  call,
  source: (index) => index.slice(index.length - shape.length).map((i, axis) => (shape[axis] === 1 ? 0 : i)),
});

export const movementCases: readonly OpCase[] = [
  moveCase('reshape', [
    reshaped('[6] to [2, 3]', [6], [2, 3], (x) => reshape(x, [2, 3])),
    reshaped('[2, 3, 4] to [4, -1]', [2, 3, 4], [4, 6], (x) => reshape(x, [4, -1])),
    reshaped('[] to [1, 1]', [], [1, 1], (x) => reshape(x, [1, 1])),
    reshaped('[0, 3] to [0]', [0, 3], [0], (x) => reshape(x, [0])),
    reshaped('[5, 7] to [7, 5]', [5, 7], [7, 5], (x) => reshape(x, [7, 5])),
    reshaped('transposed [3, 5] to [15]', [5, 3], [3, 5], (x) => reshape(reshape(x, [15]), [3, 5])),
  ]),
  moveCase('flatten', [
    reshaped('[2, 3, 4]', [2, 3, 4], [24], (x) => flatten(x)),
    reshaped('[2, 3, 4] from 1', [2, 3, 4], [2, 12], (x) => flatten(x, 1)),
    reshaped('[2, 3, 4] 0 to -2', [2, 3, 4], [6, 4], (x) => flatten(x, 0, -2)),
    reshaped('[]', [], [1], (x) => flatten(x)),
  ]),
  moveCase('transpose', [
    {
      label: '[2, 3]',
      shape: [2, 3],
      out: [3, 2],
      call: (x) => transpose(x),
      source: (index) => swapped(index, 0, 1),
    },
    {
      label: '[4, 2, 3] 0 2',
      shape: [4, 2, 3],
      out: [3, 2, 4],
      call: (x) => transpose(x, 0, 2),
      source: (index) => swapped(index, 0, 2),
    },
    {
      label: '[4, 2, 3] -3 -1',
      shape: [4, 2, 3],
      out: [3, 2, 4],
      call: (x) => transpose(x, -3, -1),
      source: (index) => swapped(index, 0, 2),
    },
    {
      label: '[17, 35]',
      shape: [17, 35],
      out: [35, 17],
      call: (x) => transpose(x),
      source: (index) => swapped(index, 0, 1),
    },
    {
      label: '[0, 2]',
      shape: [0, 2],
      out: [2, 0],
      call: (x) => transpose(x),
      source: (index) => swapped(index, 0, 1),
    },
  ]),
  moveCase('permute', [
    {
      label: '[2, 3, 4] by 2 0 1',
      shape: [2, 3, 4],
      out: [4, 2, 3],
      call: (x) => permute(x, [2, 0, 1]),
      source: ([a, b, c]) => [b!, c!, a!],
    },
    { label: '[5] by 0', shape: [5], out: [5], call: (x) => permute(x, [0]), source: (index) => [...index] },
    {
      label: '[2, 3, 4, 5] by 0 -1 1 2',
      shape: [2, 3, 4, 5],
      out: [2, 5, 3, 4],
      call: (x) => permute(x, [0, -1, 1, 2]),
      source: ([a, b, c, d]) => [a!, c!, d!, b!],
    },
    { label: '[] by nothing', shape: [], out: [], call: (x) => permute(x, []), source: () => [] },
  ]),
  moveCase('expand', [
    grow([1, 3], [4, 3], [4, 3], (x) => expand(x, [4, 3])),
    grow([2, 1], [-1, 5], [2, 5], (x) => expand(x, [-1, 5])),
    grow([3, 1], [2, 3, 4], [2, 3, 4], (x) => expand(x, [2, 3, 4])),
    grow([], [2, 2], [2, 2], (x) => expand(x, [2, 2])),
    grow([1], [0], [0], (x) => expand(x, [0])),
  ]),
  moveCase('broadcastTo', [
    grow([3, 1], [3, 5], [3, 5], (x) => broadcastTo(x, [3, 5])),
    grow([4], [2, 3, 4], [2, 3, 4], (x) => broadcastTo(x, [2, 3, 4])),
    grow([], [7], [7], (x) => broadcastTo(x, [7])),
  ]),
  moveCase('squeeze', [
    reshaped('[1, 3, 1]', [1, 3, 1], [3], (x) => squeeze(x)),
    reshaped('[1, 3, 1] axis 0', [1, 3, 1], [3, 1], (x) => squeeze(x, 0)),
    reshaped('[1, 3, 1] axis -1', [1, 3, 1], [1, 3], (x) => squeeze(x, -1)),
    reshaped('[1, 1]', [1, 1], [], (x) => squeeze(x)),
  ]),
  moveCase('unsqueeze', [
    reshaped('[3] axis 0', [3], [1, 3], (x) => unsqueeze(x, 0)),
    reshaped('[2, 3] axis -1', [2, 3], [2, 3, 1], (x) => unsqueeze(x, -1)),
    reshaped('[] axis 0', [], [1], (x) => unsqueeze(x, 0)),
    reshaped('[2, 3] axis 1', [2, 3], [2, 1, 3], (x) => unsqueeze(x, 1)),
  ]),
  moveCase('pad', [
    padMove([3], [[1, 2]]),
    padMove(
      [2, 3],
      [
        [0, 1],
        [2, 0],
      ],
      7,
    ),
    padMove(
      [2, 3, 2],
      [
        [1, 1],
        [0, 0],
        [0, 3],
      ],
    ),
    padMove(
      [0, 2],
      [
        [2, 1],
        [0, 1],
      ],
      5,
    ),
    padMove(
      [4, 6],
      [
        [0, 0],
        [0, 0],
      ],
    ),
    padMove([], []),
  ]),
  moveCase('slice', [
    { label: '[5] 1 to 4', shape: [5], out: [3], call: (x) => slice(x, [1, 4]), source: ([i]) => [i! + 1] },
    {
      label: '[7] -5 to -1 by 2',
      shape: [7],
      out: [2],
      call: (x) => slice(x, [-5, -1, 2]),
      source: ([i]) => [2 + 2 * i!],
    },
    { label: '[4, 6] row -1', shape: [4, 6], out: [6], call: (x) => slice(x, -1), source: ([j]) => [3, j!] },
    {
      label: '[4, 6] all, 5 down to 0 by 2',
      shape: [4, 6],
      out: [4, 3],
      call: (x) => slice(x, null, [5, null, -2]),
      source: ([i, j]) => [i!, 5 - 2 * j!],
    },
    {
      label: '[4, 6] reversed',
      shape: [4, 6],
      out: [4, 6],
      call: (x) => slice(x, [null, null, -1], [null, null, -1]),
      source: ([i, j]) => [3 - i!, 5 - j!],
    },
    {
      label: '[3, 4] nothing',
      shape: [3, 4],
      out: [0, 4],
      call: (x) => slice(x, [2, 1]),
      source: () => undefined,
    },
    {
      label: '[3, 4, 5] 1, -2 to 9, 3',
      shape: [3, 4, 5],
      out: [2],
      call: (x) => slice(x, 1, [-2, 9], 3),
      source: ([j]) => [1, 2 + j!, 3],
    },
    {
      label: '[33] by 5',
      shape: [33],
      out: [7],
      call: (x) => slice(x, [null, null, 5]),
      source: ([i]) => [5 * i!],
    },
  ]),
  moveCase('flip', [
    flipMove([5], undefined, [0]),
    flipMove([3, 4], undefined, [0, 1]),
    flipMove([3, 4], -1, [1]),
    flipMove([2, 3, 4], [0, 2], [0, 2]),
    flipMove([2, 0], 0, [0]),
  ]),
  moveCase('tile', [
    tileMove([3], [2], [6]),
    tileMove([2, 3], [1, 2], [2, 6]),
    tileMove([2], [3, 2], [3, 4]),
    tileMove([2, 3], [2], [2, 6]),
    tileMove([2], [0], [0]),
  ]),
  moveCase('unfold', [
    unfoldMove([7], 0, 3, 1, 1),
    unfoldMove([2, 9], 1, 3, 2, 1),
    unfoldMove([9, 2], 0, 3, 2, 2),
    unfoldMove([3, 8], -1, 1, 3, 1),
  ]),
];
