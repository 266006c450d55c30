/** Joining tensors, taking them apart, and repeating them. */
import { ArgumentError, type DType, ShapeError } from '../backend/index.ts';
import { apply, differentDevices } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { formatShape, normalizeAxis, type Shape, sameShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite, compositeList } from './composite.ts';
import { indices } from './create.ts';
import { narrow, padded } from './movement.ts';
import { commonDType, convert, filled, grown, shaped } from './promote.ts';

function requireTensors(op: string, xs: readonly Tensor[]): Tensor {
  if (!Array.isArray(xs) || xs.length === 0) {
    throw new ArgumentError(
      `${op}: expected an array of tensors, received ${Array.isArray(xs) ? 'an empty one' : describe(xs)}`,
      {
        op,
        received: xs,
        fix: `give at least one tensor, in an array: ${op}([a, b], axis)`,
      },
    );
  }
  for (const x of xs) requireTensor(op, x, 'each element');
  return xs[0]!;
}

/** Two tensors one after the other: a select between padded operands, so that no element is touched by arithmetic. */
function joinTwo(a: Tensor, b: Tensor, axis: number): Tensor {
  const before = a.shape[axis]!;
  const after = b.shape[axis]!;
  if (before === 0) return b;
  if (after === 0) return a;
  const along = (width: number): number[] => a.shape.map((_, i) => (i === axis ? width : 0));
  const left = padded(a, along(0), along(after), 0);
  const right = padded(b, along(before), along(0), 0);
  const isLeft = apply(
    'lt',
    [indices(left.shape, axis, a.device), filled('concat', before, 'int32', left.shape, a.device)],
    {},
  );
  return apply('where', [isLeft, left, right], {});
}

/** Joins by halves, so that an element passes through log2(n) selects where it is not computed in one go. */
function joinAll(xs: readonly Tensor[], axis: number): Tensor {
  if (xs.length === 1) return xs[0]!;
  const half = xs.length >> 1;
  return joinTwo(joinAll(xs.slice(0, half), axis), joinAll(xs.slice(half), axis), axis);
}

/**
 * The tensors one after the other along an existing axis. The dtype is the one that they promote to.
 *
 * @throws ShapeError unless the other extents agree.
 * @throws AxisError; ArgumentError for no tensors; DTypeError
 *
 * @example concat([ones([2, 3]), zeros([1, 3])]).shape // [3, 3]
 */
export function concat(xs: readonly Tensor[], axis = 0): Tensor {
  const first = requireTensors('concat', xs);
  const at = normalizeAxis(axis, first.rank, 'concat');
  for (const x of xs) {
    if (x.rank === first.rank && x.shape.every((extent, i) => i === at || extent === first.shape[i]))
      continue;
    throw new ShapeError(
      `concat: shapes ${formatShape(first.shape)} and ${formatShape(x.shape)} along axis ${axis}`,
      {
        op: 'concat',
        received: xs.map((each) => each.shape),
        fix: 'all extents but the one along the axis must be equal',
      },
    );
  }
  const dtype: DType = commonDType('concat', xs);
  requireOneDevice('concat', xs);
  return composite(() =>
    joinAll(
      xs.map((x) => convert(x, dtype)),
      at,
    ),
  );
}

function requireOneDevice(op: string, xs: readonly Tensor[]): void {
  const { device } = xs[0]!;
  for (const x of xs) {
    if (x.device.same(device)) continue;
    throw differentDevices(op, device, x.device);
  }
}

/**
 * The tensors, all of one shape, along a new axis at position `axis` of the result.
 *
 * @throws ShapeError unless all shapes are equal; AxisError; ArgumentError for no tensors; DTypeError
 */
export function stack(xs: readonly Tensor[], axis = 0): Tensor {
  const first = requireTensors('stack', xs);
  const at = normalizeAxis(axis, first.rank + 1, 'stack');
  for (const x of xs) {
    if (sameShape(x.shape, first.shape)) continue;
    throw new ShapeError(`stack: shapes ${formatShape(first.shape)} and ${formatShape(x.shape)} differ`, {
      op: 'stack',
      received: xs.map((each) => each.shape),
      fix: 'all shapes must be equal; use concat to join along an axis that exists',
    });
  }
  const shape = [...first.shape.slice(0, at), 1, ...first.shape.slice(at)];
  return composite(() =>
    concat(
      xs.map((x) => shaped(x, shape)),
      at,
    ),
  );
}

function splitSizes(extent: number, sizesOrCount: number | readonly number[], axis: number): number[] {
  const wrong = (message: string, fix: string): ShapeError =>
    new ShapeError(`split: ${message}`, { op: 'split', received: sizesOrCount, fix });
  if (!Array.isArray(sizesOrCount) && !(Number.isInteger(sizesOrCount) && Number(sizesOrCount) >= 1)) {
    throw new ArgumentError(`split: ${describe(sizesOrCount)} parts`, {
      op: 'split',
      received: sizesOrCount,
      fix: 'give a count of at least 1, or an array of sizes',
    });
  }
  if (typeof sizesOrCount === 'number') {
    if (extent % sizesOrCount !== 0) {
      throw wrong(
        `${extent} elements along axis ${axis} in ${sizesOrCount} equal parts`,
        'give the sizes as an array, or use chunk',
      );
    }
    return new Array<number>(sizesOrCount).fill(extent / sizesOrCount);
  }
  const sizes = [...sizesOrCount];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== extent || !sizes.every((size) => Number.isInteger(size) && size >= 0)) {
    throw wrong(
      `sizes ${formatShape(sizes)} for ${extent} elements along axis ${axis}`,
      `sizes are integers of at least 0 that add up to ${extent}`,
    );
  }
  return sizes;
}

function splitBy(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  let start = 0;
  return compositeList(() =>
    sizes.map((size) => {
      start += size;
      return narrow(x, axis, start - size, size);
    }),
  );
}

/**
 * Consecutive parts along an axis: as many equal ones as a number says, or of the sizes in an array.
 *
 * @throws ShapeError when the parts do not add up; AxisError; ArgumentError
 *
 * @example split(x, [1, 3], 1)
 */
export function split(x: Tensor, sizesOrCount: number | readonly number[], axis = 0): Tensor[] {
  requireTensor('split', x);
  const at = normalizeAxis(axis, x.rank, 'split');
  return splitBy(x, splitSizes(x.shape[at]!, sizesOrCount, axis), at);
}

/** At most `count` consecutive parts along an axis, all of ceil(extent / count) elements but perhaps the last. @throws AxisError, ArgumentError */
export function chunk(x: Tensor, count: number, axis = 0): Tensor[] {
  requireTensor('chunk', x);
  const at = normalizeAxis(axis, x.rank, 'chunk');
  if (!Number.isInteger(count) || count < 1) {
    throw new ArgumentError(`chunk: ${describe(count)} parts`, {
      op: 'chunk',
      received: count,
      fix: 'give a count of at least 1',
    });
  }
  const extent = x.shape[at]!;
  const size = Math.max(1, Math.ceil(extent / count));
  const sizes = Array.from({ length: Math.max(1, Math.ceil(extent / size)) }, (_, i) =>
    Math.min(size, extent - i * size),
  );
  return splitBy(x, sizes, at);
}

/**
 * The tensor `repeats[i]` times along axis i. Repeats and shape are aligned at the last axis; missing ones are 1.
 *
 * @throws ArgumentError unless repeats are integers of at least 0.
 *
 * @example tile(tensor([1, 2]), [2]) // 1, 2, 1, 2
 */
export function tile(x: Tensor, repeats: number | readonly number[]): Tensor {
  requireTensor('tile', x);
  const given = typeof repeats === 'number' ? [repeats] : Array.isArray(repeats) ? [...repeats] : undefined;
  if (!given?.every((count) => Number.isInteger(count) && count >= 0)) {
    throw new ArgumentError(`tile: repeats ${given ? formatShape(given) : describe(repeats)}`, {
      op: 'tile',
      received: repeats,
      fix: 'repeats are integers of at least 0',
    });
  }
  const rank = Math.max(given.length, x.rank);
  const aligned = (list: readonly number[]): number[] => [
    ...new Array<number>(rank - list.length).fill(1),
    ...list,
  ];
  const [counts, extents] = [aligned(given), aligned(x.shape)];
  const interleave = (first: Shape): number[] => extents.flatMap((extent, axis) => [first[axis]!, extent]);
  return composite(() => {
    const spread = grown(shaped(x, interleave(extents.map(() => 1))), interleave(counts));
    return shaped(
      spread,
      extents.map((extent, axis) => extent * counts[axis]!),
    );
  });
}
