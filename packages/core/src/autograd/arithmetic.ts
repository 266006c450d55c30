/**
 * Thin functions over the primitives, for tensors that already agree in shape and dtype. The rules are written in these
 * and not in the public operations, so that they depend on no promotion and no broadcasting.
 */
import type { DType } from '../backend/index.ts';
import type { PrimitiveAttributes } from '../ops/primitives.ts';
import { apply, constant } from '../tensor/apply.ts';
import { type Shape, sameShape } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';

export const neg = (x: Tensor): Tensor => apply('neg', [x], {});
export const add = (a: Tensor, b: Tensor): Tensor => apply('add', [a, b], {});
export const sub = (a: Tensor, b: Tensor): Tensor => apply('sub', [a, b], {});
export const mul = (a: Tensor, b: Tensor): Tensor => apply('mul', [a, b], {});
export const div = (a: Tensor, b: Tensor): Tensor => apply('div', [a, b], {});
export const pow = (a: Tensor, b: Tensor): Tensor => apply('pow', [a, b], {});
export const eq = (a: Tensor, b: Tensor): Tensor => apply('eq', [a, b], {});
export const lt = (a: Tensor, b: Tensor): Tensor => apply('lt', [a, b], {});
export const le = (a: Tensor, b: Tensor): Tensor => apply('le', [a, b], {});
export const and = (a: Tensor, b: Tensor): Tensor => apply('and', [a, b], {});
export const where = (condition: Tensor, a: Tensor, b: Tensor): Tensor =>
  apply('where', [condition, a, b], {});

export const cast = (x: Tensor, dtype: DType): Tensor =>
  x.dtype === dtype ? x : apply('cast', [x], { dtype });

export const reshape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply('reshape', [x], { shape });
export const expand = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply('expand', [x], { shape });
export const permute = (x: Tensor, axes: readonly number[]): Tensor => apply('permute', [x], { axes });
export const flip = (x: Tensor, axes: readonly number[]): Tensor => apply('flip', [x], { axes });
export const slice = (x: Tensor, attributes: PrimitiveAttributes['slice']): Tensor =>
  apply('slice', [x], attributes);

export const reduceSum = (x: Tensor, axes: readonly number[]): Tensor =>
  axes.length === 0 ? x : apply('reduceSum', [x], { axes });

export const gather = (x: Tensor, index: Tensor, axis: number): Tensor =>
  apply('gather', [x, index], { axis });
export const scatter = (
  mode: PrimitiveAttributes['scatter']['mode'],
  base: Tensor,
  index: Tensor,
  updates: Tensor,
  axis: number,
): Tensor => apply('scatter', [base, index, updates], { axis, mode });

/** A tensor of one value, with the shape and the device of `like`. */
export function fill(value: number, like: Tensor, dtype: DType = 'float32'): Tensor {
  const { shape } = like;
  const scalar = constant(value, dtype, like.device);
  return expand(
    reshape(
      scalar,
      shape.map(() => 1),
    ),
    shape,
  );
}

export const scale = (x: Tensor, factor: number): Tensor => mul(x, fill(factor, x));

/** x where the condition holds, 0 elsewhere: a product with a mask would make NaN of an infinite x. */
export const keepWhere = (condition: Tensor, x: Tensor): Tensor => where(condition, x, fill(0, x));

/** What `pad` does along one axis. */
export interface AxisPad {
  readonly low: number;
  readonly high: number;
  readonly interior?: number;
  readonly value?: number;
}

/** Pads along one axis; negative `low` and `high` cut. */
export function padAxis(x: Tensor, axis: number, { low, high, interior = 0, value = 0 }: AxisPad): Tensor {
  if (low === 0 && high === 0 && interior === 0) return x;
  const along = (amount: number): number[] => x.shape.map((_, a) => (a === axis ? amount : 0));
  return apply('pad', [x], { low: along(low), high: along(high), interior: along(interior), value });
}

/** Elements start ... start+size-1 along one axis. */
export function sliceAxis(x: Tensor, axis: number, start: number, size: number): Tensor {
  if (start === 0 && size === x.shape[axis]) return x;
  return slice(x, {
    start: x.shape.map((_, a) => (a === axis ? start : 0)),
    size: x.shape.map((extent, a) => (a === axis ? size : extent)),
    step: x.shape.map(() => 1),
  });
}

/** Moves one axis to another place; the others keep their order. */
export function moveAxis(x: Tensor, from: number, to: number): Tensor {
  if (from === to) return x;
  const axes = x.shape.map((_, a) => a).filter((a) => a !== from);
  axes.splice(to, 0, from);
  return permute(x, axes);
}
