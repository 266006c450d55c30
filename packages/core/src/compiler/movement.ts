/**
 * Movement as index functions: given the indices of an element of the result, where in the operand it comes from, and
 * under which condition it comes from there at all.
 */
import type { Expression } from '../backend/index.ts';
import { type Shape, sizeOf, stridesOf } from '../tensor/shape.ts';
import type { IndexBuilder } from './index-math.ts';
import { isOp, type Op, type OpAttributes } from './op.ts';

export interface Source {
  readonly indices: readonly Expression[];
  /** Undefined: always. */
  readonly guard?: Expression;
}

/** Undefined for ops that are not movement. */
export function sourceOf(builder: IndexBuilder, op: Op, indices: readonly Expression[]): Source | undefined {
  const [x] = op.inputs as [Op];
  if (isOp(op, 'reshape')) return { indices: reshapeIndices(builder, indices, op.shape, x.shape) };
  if (isOp(op, 'permute')) {
    const result = new Array<Expression>(indices.length);
    for (const [i, axis] of op.attributes.axes.entries()) result[axis] = indices[i]!;
    return { indices: result };
  }
  if (isOp(op, 'expand')) {
    return { indices: indices.map((index, axis) => (x.shape[axis] === 1 ? builder.int(0) : index)) };
  }
  if (isOp(op, 'slice')) {
    const { start, step } = op.attributes;
    return {
      indices: indices.map((index, a) => builder.offsetIndex(builder.scaleIndex(index, step[a]!), start[a]!)),
    };
  }
  if (isOp(op, 'flip')) {
    const { axes } = op.attributes;
    const mirrored = (index: Expression, axis: number) =>
      builder.offsetIndex(builder.scaleIndex(index, -1), x.shape[axis]! - 1);
    return { indices: indices.map((index, axis) => (axes.includes(axis) ? mirrored(index, axis) : index)) };
  }
  if (isOp(op, 'unfold')) {
    const { axis, step, dilation } = op.attributes;
    const within = builder.scaleIndex(indices.at(-1)!, dilation);
    const moved = (index: Expression) => builder.addIndex(builder.scaleIndex(index, step), within);
    return { indices: indices.slice(0, -1).map((index, a) => (a === axis ? moved(index) : index)) };
  }
  if (isOp(op, 'pad')) return padSource(builder, op.attributes, x.shape, indices);
  return undefined;
}

function padSource(
  builder: IndexBuilder,
  pad: OpAttributes['pad'],
  shape: Shape,
  indices: readonly Expression[],
): Source {
  let guard = builder.true;
  const result = indices.map((index, axis) => {
    const low = pad.low[axis]!;
    const step = pad.interior[axis]! + 1;
    const shifted = builder.offsetIndex(index, -low);
    const last = (shape[axis]! - 1) * step;
    guard = builder.and(guard, builder.and(builder.atLeast(shifted, 0), builder.lessThan(shifted, last + 1)));
    if (step === 1) return shifted;
    // Where the guard is false the dividend may be negative, and the quotient means nothing.
    guard = builder.and(guard, builder.equals(builder.remainderIndex(shifted, step), 0));
    return builder.divideIndex(shifted, step);
  });
  return guard === builder.true ? { indices: result } : { indices: result, guard };
}

/**
 * Indices before a reshape. Runs of axes with equal products are handled by themselves, so that an untouched axis
 * keeps its index and only split or merged axes see a division.
 */
export function reshapeIndices(
  builder: IndexBuilder,
  indices: readonly Expression[],
  from: Shape,
  to: Shape,
): Expression[] {
  if (sizeOf(to) === 0) return to.map(() => builder.int(0));
  const result: Expression[] = [];
  let i = 0;
  for (let j = 0; j < to.length; ) {
    const startI = i;
    const startJ = j;
    let sizeFrom = 1;
    let sizeTo = to[j++]!;
    while (sizeFrom !== sizeTo) {
      if (sizeFrom < sizeTo) sizeFrom *= from[i++]!;
      else sizeTo *= to[j++]!;
    }
    const flat = builder.flatten(indices.slice(startI, i), stridesOf(from.slice(startI, i)));
    result.push(...builder.unflatten(flat, to.slice(startJ, j)));
  }
  return result;
}
