import { ArgumentError, AxisError, ShapeError } from '../backend/index.ts';
import { describe } from './describe.ts';

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1);

export const formatShape = (shape: Shape): string => `[${shape.join(', ')}]`;

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i]);

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/** Throws ShapeError unless every extent is an integer of at least 0 and the size fits 32-bit indices. */
export function checkShape(shape: Shape, op: string): Shape {
  const good = Array.isArray(shape) && shape.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (!good) {
    const shown = Array.isArray(shape) ? JSON.stringify(shape) : describe(shape);
    throw new ShapeError(`${op}: ${shown} is not a shape`, {
      op,
      received: shape,
      fix:
        typeof shape === 'number'
          ? `write it as an array: [${shape}], or [${shape}, ...] for more axes`
          : 'a shape is an array of integers of at least 0',
    });
  }
  if (sizeOf(shape) > 2 ** 31 - 1) {
    throw new ShapeError(`${op}: ${formatShape(shape)} has ${sizeOf(shape)} elements, more than 2^31 - 1`, {
      op,
      received: shape,
      fix: 'split the tensor along one axis',
    });
  }
  return shape;
}

/**
 * The shape that shapes broadcast to, by NumPy's rule: aligned at the right, extents equal or 1.
 *
 * @throws ShapeError
 */
export function broadcastShapes(op: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = rank - shape.length + i;
      const extent = shape[i]!;
      if (extent === result[axis] || extent === 1) continue;
      if (result[axis] !== 1) {
        throw new ShapeError(`${op}: shapes ${shapes.map(formatShape).join(' and ')} do not broadcast`, {
          op,
          received: shapes,
          fix: `axis ${axis - rank} has extents ${result[axis]} and ${extent}; they must be equal, or one of them 1`,
        });
      }
      result[axis] = extent;
    }
  }
  return result;
}

function refuseAxis(axis: unknown, op: string, expected: string): never {
  throw new ArgumentError(`${op}: the axis is ${describe(axis)}`, {
    op,
    received: axis,
    fix: describe(axis) === 'an object' ? `${expected}, given before the options` : expected,
  });
}

/**
 * An axis counted from the front. `rank` 0 has no axes.
 *
 * @throws AxisError; ArgumentError for what is no number.
 */
export function normalizeAxis(axis: number, rank: number, op: string): number {
  if (typeof axis !== 'number') refuseAxis(axis, op, 'an axis is an integer');
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    const range = rank === 0 ? 'a scalar has no axes' : `axes go from ${-rank} to ${rank - 1}`;
    throw new AxisError(`${op}: axis ${axis} of a tensor with ${rank} axes`, {
      op,
      received: axis,
      fix: range,
    });
  }
  return axis < 0 ? axis + rank : axis;
}

/**
 * Distinct axes in ascending order; undefined means all of them.
 *
 * @throws AxisError; ArgumentError for what is neither a number nor an array.
 */
export function normalizeAxes(
  axes: number | readonly number[] | undefined,
  rank: number,
  op: string,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  if (typeof axes !== 'number' && !Array.isArray(axes))
    refuseAxis(axes, op, 'an axis is an integer, several are an array');
  const list = (typeof axes === 'number' ? [axes] : [...axes]).map((axis) => normalizeAxis(axis, rank, op));
  if (new Set(list).size !== list.length) {
    throw new AxisError(`${op}: an axis is named twice`, { op, received: axes, fix: 'name each axis once' });
  }
  return list.sort((a, b) => a - b);
}
