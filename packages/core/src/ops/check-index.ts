/** Indices that are data: checked at once where the data is at hand, otherwise when a result is read. */
import { type DType, DTypeError, IndexError, isInteger } from '../backend/index.ts';
import { checkData } from '../tensor/check.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { ge, logicalAnd, logicalOr, lt, ne, where } from './compare.ts';
import { composite, untracked } from './composite.ts';
import { convert } from './promote.ts';
import { max } from './reduce.ts';

/** @throws DTypeError unless the index has an integer dtype. */
export function requireIndex(op: string, index: Tensor, name = 'the index'): void {
  const { dtype } = requireTensor(op, index, name);
  if (isInteger(dtype)) return;
  throw new DTypeError(
    `${op}: dtype ${dtype} for ${name}, which ${name.endsWith('s') ? 'are' : 'is'} of integers`,
    {
      op,
      received: dtype,
      fix: "cast first, x.cast('int32'), or say so where the tensor is made: tensor(data, { dtype: 'int32' })",
    },
  );
}

/** What an index may hold. */
export interface IndexRange {
  /** Public name of the operation. */
  readonly op: string;
  /** What the numbers are called in messages: "index", "label". */
  readonly name: string;
  /** 0 .. extent-1 are legal. */
  readonly extent: number;
  /** A number outside the range that is legal too. */
  readonly except?: number | undefined;
}

function rangeError({ op, name, extent, except }: IndexRange, found: string, received: unknown): IndexError {
  const others = except === undefined ? '' : `, or ${except} to be ignored`;
  return new IndexError(`${op}: ${found}`, {
    op,
    received,
    fix:
      extent === 0
        ? `there is nothing to point at, every ${name} is out of range`
        : `each ${name} must be from 0 to ${extent - 1}${others}`,
  });
}

/** The place of a flat position in a shape, for a message. */
function positionOf(flat: number, shape: readonly number[]): string {
  const position: number[] = [];
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    position.unshift(rest % shape[axis]!);
    rest = Math.floor(rest / shape[axis]!);
  }
  return shape.length === 0 ? '' : ` at [${position.join(', ')}]`;
}

/** Looks at indices whose data is on the host. False where it is not. @throws IndexError */
function checkHost(index: Tensor, range: IndexRange): boolean {
  const { host, shape } = index.node;
  if (!host) return false;
  for (let i = 0; i < host.length; i++) {
    const value = host[i]!;
    if ((value >= 0 && value < range.extent) || value === range.except) continue;
    throw rangeError(
      range,
      `${range.name} ${value}${positionOf(i, shape)} is outside the extent ${range.extent}`,
      value,
    );
  }
  return true;
}

/**
 * Guards `compute`, an operation that uses indices. Data on the host is looked at before any work; other data is looked at
 * on the device, and reading the result throws.
 *
 * @throws IndexError
 */
export function checkedIndex(index: Tensor, range: IndexRange, compute: () => Tensor): Tensor {
  if (index.size === 0 || checkHost(index, range)) return compute();
  if (range.extent === 0 && range.except === undefined) {
    throw rangeError(range, `${index.size} of ${range.name} into nothing`, index.shape);
  }
  const { dtype } = index; // the index may be gone when the error is made
  return composite(() => {
    const flag = untracked(() => flagOf(index, range));
    return checkData(compute(), flag, (found) => outsideError(range, dtype, found));
  });
}

/**
 * 0 when all indices are in range, otherwise the bits of one that is not: uint32 []. Where the extent is 0 that one may be
 * 0 itself, and 1 stands for it.
 */
function flagOf(index: Tensor, { extent, except }: IndexRange): Tensor {
  // As int32, uint32 values from 2^31 up are negative, and any extent is in range.
  const position = convert(index, 'int32');
  const outside = logicalOr(lt(position, 0), ge(position, extent));
  const bad = except === undefined ? outside : logicalAnd(outside, ne(position, except));
  return max(extent === 0 ? convert(bad, 'uint32') : where(bad, convert(position, 'uint32'), 0));
}

function outsideError(range: IndexRange, dtype: DType, flag: number): IndexError {
  const { name, extent } = range;
  if (extent === 0) return rangeError(range, `${name} outside the extent 0`, undefined);
  const value = dtype === 'int32' ? flag | 0 : flag;
  return rangeError(range, `${name} ${value} is outside the extent ${extent}`, value);
}
