/** Operations that move elements and compute nothing. They take every dtype and keep it. */
import { ArgumentError, AxisError, IndexError, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import {
  broadcastShapes,
  checkShape,
  formatShape,
  normalizeAxes,
  normalizeAxis,
  type Shape,
  sameShape,
  sizeOf,
} from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { windowCount } from './extents.ts';
import { checkScalar, grown, shaped } from './promote.ts';

/** Works out the extent given as -1. */
function resolveShape(x: Tensor, shape: Shape): number[] {
  const unknown = Array.isArray(shape) ? shape.indexOf(-1) : -1;
  if (unknown === -1) return [...checkShape(shape, 'reshape')];
  const known = shape.filter((_, axis) => axis !== unknown);
  if (known.includes(-1)) {
    throw new ShapeError(`reshape: ${formatShape(shape)} leaves two extents open`, {
      op: 'reshape',
      received: shape,
      fix: 'only one extent may be -1',
    });
  }
  const size = sizeOf(checkShape(known, 'reshape'));
  if (size === 0 || x.size % size !== 0) {
    throw new ShapeError(
      `reshape: no extent makes ${formatShape(shape)} hold the ${x.size} elements of ${formatShape(x.shape)}`,
      {
        op: 'reshape',
        received: shape,
        fix:
          size === 0
            ? 'beside an extent of 0 the other extents must be given'
            : `${x.size} is not a multiple of ${size}`,
      },
    );
  }
  return shape.map((extent, axis) => (axis === unknown ? x.size / size : extent));
}

/**
 * The same elements, in row-major order, in another shape of the same size. One extent may be -1 and is worked out.
 *
 * @throws ShapeError when the sizes differ, for two -1, and for -1 beside a 0.
 *
 * @example reshape(arange(6), [2, -1]).shape // [2, 3]
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireTensor('reshape', x);
  const resolved = resolveShape(x, shape);
  return composite(() => shaped(x, resolved));
}

/** Merges the axes from `start` to `end`, both included, into one: all of them by default. A scalar gives shape [1]. @throws AxisError */
export function flatten(x: Tensor, start = 0, end = -1): Tensor {
  requireTensor('flatten', x);
  if (x.rank === 0) return reshape(x, [1]);
  const from = normalizeAxis(start, x.rank, 'flatten');
  const to = normalizeAxis(end, x.rank, 'flatten');
  if (from > to)
    throw new AxisError(`flatten: start axis ${start} is after end axis ${end}`, {
      op: 'flatten',
      received: [start, end],
      fix: 'swap them',
    });
  const merged = sizeOf(x.shape.slice(from, to + 1));
  return reshape(x, [...x.shape.slice(0, from), merged, ...x.shape.slice(to + 1)]);
}

/**
 * The axes in another order: axis i of the result is axis `axes[i]` of x.
 *
 * @throws AxisError unless `axes` names every axis once.
 */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  requireTensor('permute', x);
  if (!Array.isArray(axes)) {
    throw new ArgumentError(`permute: the axes are ${describe(axes)}`, {
      op: 'permute',
      received: axes,
      fix: `give them in an array: permute(x, ${formatShape(x.shape.map((_, axis) => axis))})`,
    });
  }
  const order = axes.map((axis) => normalizeAxis(axis, x.rank, 'permute'));
  if (order.length !== x.rank || new Set(order).size !== x.rank) {
    throw new AxisError(`permute: axes ${formatShape(axes)} do not name each of the ${x.rank} axes once`, {
      op: 'permute',
      received: axes,
      fix: `give a permutation of ${formatShape(x.shape.map((_, axis) => axis))}`,
    });
  }
  return composite(() => (order.every((axis, i) => axis === i) ? x : apply('permute', [x], { axes: order })));
}

/** Swaps two axes: the last two by default. (.., M, N) -> (.., N, M). @throws AxisError */
export function transpose(x: Tensor, a = -2, b = -1): Tensor {
  requireTensor('transpose', x);
  const first = normalizeAxis(a, x.rank, 'transpose');
  const second = normalizeAxis(b, x.rank, 'transpose');
  return permute(
    x,
    x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis)),
  );
}

/**
 * Repeats axes of extent 1 to the extents of `shape`, without copying; -1 keeps an extent. `shape` may have more axes, which
 * come in front.
 *
 * @throws ShapeError when an axis that is not 1 would change.
 */
export function expand(x: Tensor, shape: Shape): Tensor {
  requireTensor('expand', x);
  if (!Array.isArray(shape)) checkShape(shape, 'expand');
  const added = shape.length - x.rank;
  const target = shape.map((extent, axis) =>
    extent === -1 && axis >= added ? x.shape[axis - added]! : extent,
  );
  checkShape(target, 'expand');
  if (added < 0 || x.shape.some((extent, axis) => extent !== 1 && extent !== target[axis + added])) {
    throw new ShapeError(`expand: ${formatShape(x.shape)} does not expand to ${formatShape(shape)}`, {
      op: 'expand',
      received: shape,
      fix: 'aligned at the last axis, extents must be equal or 1 in the tensor; new axes come in front',
    });
  }
  return composite(() => grown(x, target));
}

/** Repeats `x` to a shape that it broadcasts to, by NumPy's rule. @throws ShapeError */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  requireTensor('broadcastTo', x);
  checkShape(shape, 'broadcastTo');
  if (!sameShape(broadcastShapes('broadcastTo', x.shape, shape), shape)) {
    throw new ShapeError(`broadcastTo: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`, {
      op: 'broadcastTo',
      received: shape,
      fix: 'only axes of extent 1 can grow',
    });
  }
  return composite(() => grown(x, [...shape]));
}

/** Drops axes of extent 1: the named one, or all. An axis of another extent stays, as in PyTorch. @throws AxisError */
export function squeeze(x: Tensor, axis?: number | readonly number[]): Tensor {
  requireTensor('squeeze', x);
  const axes = normalizeAxes(axis, x.rank, 'squeeze');
  return reshape(
    x,
    x.shape.filter((extent, i) => extent !== 1 || !axes.includes(i)),
  );
}

/** Adds an axis of extent 1 at position `axis` of the result. @throws AxisError */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  requireTensor('unsqueeze', x);
  const at = normalizeAxis(axis, x.rank + 1, 'unsqueeze');
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

export interface PadOptions {
  /** What is put there. Default 0. */
  readonly value?: number | boolean | undefined;
}

const padOptions: OptionNames<PadOptions> = { value: true };

/**
 * Puts `value` before and after the elements of each axis: `padding` is [low, high] for every axis.
 *
 * @throws ShapeError unless there is one pair for each axis.
 * @throws ArgumentError for a negative width, and for a value that the dtype cannot hold.
 *
 * @example pad(tensor([1, 2]), [[1, 0]]) // 0, 1, 2
 */
export function pad(
  x: Tensor,
  padding: readonly (readonly [number, number])[],
  options: PadOptions = {},
): Tensor {
  requireTensor('pad', x);
  checkOptions('pad', options, padOptions);
  if (!Array.isArray(padding) || padding.length !== x.rank) {
    throw new ShapeError(`pad: ${describe(padding?.length)} pairs for shape ${formatShape(x.shape)}`, {
      op: 'pad',
      received: padding,
      fix: `give [low, high] for each of the ${x.rank} axes`,
    });
  }
  for (const width of padding.flat()) {
    if (Number.isInteger(width) && width >= 0) continue;
    throw new ArgumentError(`pad: a width of ${describe(width)}`, {
      op: 'pad',
      received: padding,
      fix: 'widths are integers of at least 0; to cut, use slice',
    });
  }
  const value = checkScalar('pad', options.value ?? 0, x.dtype);
  return composite(() =>
    padded(
      x,
      padding.map(([low]) => low),
      padding.map(([, high]) => high),
      value,
    ),
  );
}

/** The pad primitive, or nothing where there is nothing to put. */
export function padded(x: Tensor, low: readonly number[], high: readonly number[], value: number): Tensor {
  if ([...low, ...high].every((width) => width === 0)) return x;
  return apply('pad', [x], { low, high, interior: low.map(() => 0), value });
}

/** One axis of a slice: a position (the axis goes), [start, stop, step], or null for all of it. */
export type SliceRange =
  | number
  | null
  | readonly [start?: number | null, stop?: number | null, step?: number | null];

interface AxisSlice {
  readonly start: number;
  readonly size: number;
  readonly step: number;
  readonly flipped: boolean;
  readonly dropped: boolean;
}

function slicePosition(index: number, extent: number, axis: number): AxisSlice {
  if (!Number.isInteger(index) || index < -extent || index >= extent) {
    throw new IndexError(`slice: index ${index} along axis ${axis} of extent ${extent}`, {
      op: 'slice',
      received: index,
      fix: extent === 0 ? 'the axis is empty' : `indices go from ${-extent} to ${extent - 1}`,
    });
  }
  return { start: index < 0 ? index + extent : index, size: 1, step: 1, flipped: false, dropped: true };
}

/** Python's rule: negative positions count from the end, and what is outside is clamped. */
function sliceAxis(range: SliceRange | undefined, extent: number, axis: number): AxisSlice {
  if (typeof range === 'number') return slicePosition(range, extent, axis);
  const [first, last, stride] = range ?? [];
  const step = stride ?? 1;
  for (const value of [first ?? 0, last ?? 0, step]) {
    if (Number.isInteger(value) && step !== 0) continue;
    throw new ArgumentError(`slice: range ${JSON.stringify(range)} along axis ${axis}`, {
      op: 'slice',
      received: range,
      fix: 'start, stop and step are integers, and step is not 0',
    });
  }
  const clamp = (position: number, low: number, high: number): number =>
    Math.min(Math.max(position < 0 ? position + extent : position, low), high);
  if (step > 0) {
    const start = clamp(first ?? 0, 0, extent);
    const stop = clamp(last ?? extent, 0, extent);
    return {
      start,
      size: Math.max(0, Math.ceil((stop - start) / step)),
      step,
      flipped: false,
      dropped: false,
    };
  }
  const start = first == null ? extent - 1 : clamp(first, -1, extent - 1);
  const stop = last == null ? -1 : clamp(last, -1, extent - 1);
  const size = Math.max(0, Math.ceil((stop - start) / step));
  return { start: size === 0 ? 0 : extent - 1 - start, size, step: -step, flipped: true, dropped: false };
}

/**
 * Part of a tensor, one range for each axis from the front, as in Python: a number picks a position and drops the axis,
 * `[start, stop, step]` takes every step-th element from start to before stop, `null` all. Negative positions count from the
 * end; ranges are clamped to the extent; a negative step goes backwards.
 *
 * @throws IndexError for a position outside the axis.
 * @throws AxisError for more ranges than axes; ArgumentError for a step of 0.
 *
 * @example slice(x, 0, [1, -1], [null, null, 2])
 */
export function slice(x: Tensor, ...ranges: SliceRange[]): Tensor {
  requireTensor('slice', x);
  if (ranges.length > x.rank) {
    throw new AxisError(`slice: ${ranges.length} ranges for shape ${formatShape(x.shape)}`, {
      op: 'slice',
      received: ranges,
      fix: 'give at most one range for each axis',
    });
  }
  const parts = x.shape.map((extent, axis) => sliceAxis(ranges[axis], extent, axis));
  const flipped = parts.flatMap(({ flipped: backwards, size }, axis) =>
    backwards && size > 0 ? [axis] : [],
  );
  return composite(() => {
    const turned = flipped.length ? apply('flip', [x], { axes: flipped }) : x;
    const cut = sliced(
      turned,
      parts.map((p) => p.start),
      parts.map((p) => p.size),
      parts.map((p) => p.step),
    );
    return shaped(
      cut,
      cut.shape.filter((_, axis) => !parts[axis]!.dropped),
    );
  });
}

/** The slice primitive, or nothing where all is taken. */
function sliced(
  x: Tensor,
  start: readonly number[],
  size: readonly number[],
  step: readonly number[],
): Tensor {
  if (sameShape(size, x.shape)) return x;
  return apply('slice', [x], { start, size, step });
}

/** Part of one axis. */
export function narrow(x: Tensor, axis: number, start: number, size: number): Tensor {
  const at = (value: number, other: (extent: number) => number): number[] =>
    x.shape.map((extent, i) => (i === axis ? value : other(extent)));
  return sliced(
    x,
    at(start, () => 0),
    at(size, (extent) => extent),
    at(1, () => 1),
  );
}

/** The elements in reverse order along axes: all of them by default. @throws AxisError */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  requireTensor('flip', x);
  const list = normalizeAxes(axes, x.rank, 'flip');
  return composite(() => (list.length ? apply('flip', [x], { axes: list }) : x));
}

/**
 * Sliding windows along an axis: its extent E becomes (E - (size - 1) * dilation - 1) / step + 1, and a last axis of `size`
 * is appended.
 *
 * @throws AxisError; ArgumentError for sizes below 1; ShapeError when no window fits.
 */
export function unfold(x: Tensor, axis: number, size: number, step = 1, dilation = 1): Tensor {
  requireTensor('unfold', x);
  const at = normalizeAxis(axis, x.rank, 'unfold');
  for (const value of [size, step, dilation]) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new ArgumentError(`unfold: size ${size}, step ${step}, dilation ${dilation}`, {
      op: 'unfold',
      received: value,
      fix: 'all three are integers of at least 1',
    });
  }
  if (windowCount(x.shape[at]!, size, step, dilation) === 0) {
    throw new ShapeError(
      `unfold: a window of ${(size - 1) * dilation + 1} does not fit axis ${axis} of ${formatShape(x.shape)}`,
      {
        op: 'unfold',
        received: size,
        fix: 'use a smaller window, or pad first',
      },
    );
  }
  return apply('unfold', [x], { axis: at, size, step, dilation });
}
