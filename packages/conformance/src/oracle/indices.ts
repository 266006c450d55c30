/** Multi-indices and flat positions, the plain way: the oracle shares no index arithmetic with the compiler. */
import type { Shape } from '@tutti/core';

export const count = (shape: Shape): number => {
  let product = 1;
  for (const extent of shape) product *= extent;
  return product;
};

/** The row-major position of a multi-index. */
export function position(index: readonly number[], shape: Shape): number {
  let flat = 0;
  for (let axis = 0; axis < shape.length; axis++) flat = flat * shape[axis]! + index[axis]!;
  return flat;
}

/** Calls `visit(index, flat)` for every multi-index of `shape` in row-major order. The index array is reused. */
export function forEachIndex(shape: Shape, visit: (index: readonly number[], flat: number) => void): void {
  const total = count(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = index[axis]! + 1;
      if (index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}
