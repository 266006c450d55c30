/** Reading and writing at positions that are data. */
import { ArgumentError, checkDType, type DType, DTypeError, promote, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { formatShape, normalizeAxis, type Shape, sameShape } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { checkedIndex, requireIndex } from './check-index.ts';
import { composite } from './composite.ts';
import { indices } from './create.ts';
import { convert, filled, grown, shaped } from './promote.ts';

/** Extents must agree but for one axis. @throws ShapeError */
function requireAlike(op: string, x: Tensor, index: Tensor, axis: number): void {
  if (x.rank === index.rank && x.shape.every((extent, i) => i === axis || extent === index.shape[i])) return;
  throw new ShapeError(
    `${op}: shapes ${formatShape(x.shape)} and index ${formatShape(index.shape)} along axis ${axis}`,
    {
      op,
      received: [x.shape, index.shape],
      fix: 'all extents but the one along the axis must be equal; expand the index, or use take for whole slices',
    },
  );
}

/**
 * `out[.., i, ..] = x[.., index[.., i, ..], ..]` along an axis. The index has the shape of the result, and equals x's but for
 * that axis. The gradient adds up where a position is read more than once.
 *
 * @throws IndexError for a position outside the axis: at once where the index is on the host, otherwise when a result is read.
 * @throws ShapeError; AxisError; DTypeError unless the index has an integer dtype.
 */
export function gather(x: Tensor, index: Tensor, axis: number): Tensor {
  requireTensor('gather', x);
  requireIndex('gather', index);
  const at = normalizeAxis(axis, x.rank, 'gather');
  requireAlike('gather', x, index, at);
  const range = { op: 'gather', name: 'index', extent: x.shape[at]! };
  return checkedIndex(index, range, () => apply('gather', [x, index], { axis: at }));
}

/**
 * Whole slices of x at the positions of `index`, of any shape: x (.., E, ..) with index (I..) -> (.., I.., ..). Without an
 * axis, elements of the flat tensor: -> (I..).
 *
 * @throws IndexError for a position outside the axis: at once where the index is on the host, otherwise when a result is read.
 * @throws AxisError; DTypeError unless the index has an integer dtype.
 *
 * @example take(tensor([10, 20, 30]), tensor([2, 0], { dtype: 'int32' })) // 30, 10
 */
export function take(x: Tensor, index: Tensor, axis?: number): Tensor {
  return takeAs('take', x, index, axis);
}

/** `take` under the name of the operation that uses it. */
export function takeAs(op: string, x: Tensor, index: Tensor, axis?: number): Tensor {
  requireTensor(op, x);
  requireIndex(op, index);
  if (axis === undefined) return composite(() => takeAs(op, shaped(x, [x.size]), index, 0));
  const at = normalizeAxis(axis, x.rank, op);
  const before = x.shape.slice(0, at);
  const after = x.shape.slice(at + 1);
  const range = { op, name: 'index', extent: x.shape[at]! };
  return checkedIndex(index, range, () =>
    composite(() => {
      const line = shaped(index, [...before.map(() => 1), index.size, ...after.map(() => 1)]);
      const taken = apply('gather', [x, grown(line, [...before, index.size, ...after])], { axis: at });
      return shaped(taken, [...before, ...index.shape, ...after]);
    }),
  );
}

export interface OneHotOptions {
  /** Default float32. */
  readonly dtype?: DType | undefined;
}

const oneHotOptions: OptionNames<OneHotOptions> = { dtype: true };

/**
 * 1 at the position that each index names, 0 elsewhere: (I..) -> (I.., classes).
 *
 * @throws IndexError for an index outside 0 .. classes-1: at once where it is on the host, otherwise when a result is read.
 * @throws ArgumentError unless classes is an integer of at least 1; DTypeError unless the index has an integer dtype.
 */
export function oneHot(index: Tensor, classes: number, options: OneHotOptions = {}): Tensor {
  requireIndex('oneHot', index);
  checkOptions('oneHot', options, oneHotOptions);
  if (!Number.isInteger(classes) || classes < 1) {
    throw new ArgumentError(`oneHot: ${describe(classes)} classes`, {
      op: 'oneHot',
      received: classes,
      fix: 'give the number of classes, at least 1',
    });
  }
  const dtype = checkDType(options.dtype ?? 'float32', 'oneHot');
  const shape = [...index.shape, classes];
  return checkedIndex(index, { op: 'oneHot', name: 'index', extent: classes }, () =>
    composite(() => convert(isAt(index, shape, index.rank), dtype)),
  );
}

/** bool: the position along an axis of `shape` is the one that the index (without that axis) names. */
export function isAt(index: Tensor, shape: Shape, axis: number): Tensor {
  const line = shaped(
    convert(index, 'int32'),
    shape.map((extent, i) => (i === axis ? 1 : extent)),
  );
  return apply('eq', [indices(shape, axis, index.device), grown(line, shape)], {});
}

/** @throws ShapeError, DTypeError, ArgumentError */
function requireUpdates(op: string, x: Tensor, index: Tensor, updates: Tensor | number): void {
  if (typeof updates === 'number') return;
  requireTensor(op, updates, 'the updates');
  if (!sameShape(updates.shape, index.shape)) {
    throw new ShapeError(
      `${op}: updates of shape ${formatShape(updates.shape)} for an index of shape ${formatShape(index.shape)}`,
      {
        op,
        received: [updates.shape, index.shape],
        fix: 'there is one update for each index; expand the updates first',
      },
    );
  }
  if (promote(x.dtype, updates.dtype, op) === x.dtype) return;
  throw new DTypeError(`${op}: updates of dtype ${updates.dtype} for a tensor of dtype ${x.dtype}`, {
    op,
    received: updates.dtype,
    fix: `cast the updates: updates.cast('${x.dtype}')`,
  });
}

/** The dtype that sums are made in: 16-bit floats are added in float32, small integers in 32 bits. */
const addDTypes: Readonly<Record<DType, DType>> = {
  float32: 'float32',
  float16: 'float32',
  bfloat16: 'float32',
  int32: 'int32',
  uint32: 'uint32',
  uint8: 'uint32',
  bool: 'int32',
};

function scatterInto(
  op: string,
  mode: 'set' | 'add',
  x: Tensor,
  index: Tensor,
  updates: Tensor | number,
  axis: number,
): Tensor {
  requireTensor(op, x);
  requireIndex(op, index);
  const at = normalizeAxis(axis, x.rank, op);
  requireAlike(op, x, index, at);
  requireUpdates(op, x, index, updates);
  const wide = mode === 'set' ? x.dtype : addDTypes[x.dtype];
  return checkedIndex(index, { op, name: 'index', extent: x.shape[at]! }, () =>
    composite(() => {
      const values =
        updates instanceof Tensor ? updates : filled(op, updates, x.dtype, index.shape, x.device);
      const base = convert(x, wide);
      return convert(apply('scatter', [base, index, convert(values, wide)], { axis: at, mode }), x.dtype);
    }),
  );
}

/**
 * x with `out[.., index[.., i, ..], ..] = updates[.., i, ..]` along an axis; where an index comes more than once, the last
 * update stays. The index and the updates have one shape, which equals x's but for that axis. Keeps x's dtype.
 *
 * @throws IndexError for a position outside the axis: at once where the index is on the host, otherwise when a result is read.
 * @throws ShapeError; AxisError; DTypeError
 */
export function scatter(x: Tensor, index: Tensor, updates: Tensor | number, axis: number): Tensor {
  return scatterInto('scatter', 'set', x, index, updates, axis);
}

/**
 * x with `out[.., index[.., i, ..], ..] += updates[.., i, ..]` along an axis, in order. The index and the updates have one
 * shape, which equals x's but for that axis. Keeps x's dtype; integers wrap, bool is logical or.
 *
 * @throws IndexError for a position outside the axis: at once where the index is on the host, otherwise when a result is read.
 * @throws ShapeError; AxisError; DTypeError
 */
export function scatterAdd(x: Tensor, index: Tensor, updates: Tensor | number, axis: number): Tensor {
  return scatterInto('scatterAdd', 'add', x, index, updates, axis);
}
