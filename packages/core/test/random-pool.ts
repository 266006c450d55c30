/** The tensors of a random graph so far. */
import { apply, constant, sizeOf, type Tensor } from '../src/tensor/index.ts';
import type { Random } from './random.ts';

/** A tensor, and how large its elements can be. */
export interface Entry {
  readonly x: Tensor;
  readonly bound: number;
}

export const mostElements = 160;
const mostAxes = 5;
export const exactBound = 2 ** 22;
export type Numeric = 'float32' | 'int32' | 'uint32' | 'uint8' | 'bool';
export const numericTypes: readonly Numeric[] = [
  'float32',
  'float32',
  'float32',
  'int32',
  'uint32',
  'uint8',
  'bool',
];

export const flat = (x: Tensor): Tensor => apply('reshape', [x], { shape: [x.size] });
export const zeros = (shape: readonly number[]): number[] => shape.map(() => 0);

export class Pool {
  readonly random: Random;
  readonly entries: Entry[];
  /** Only what has a gradient, in float32. */
  readonly differentiable: boolean;

  constructor(random: Random, leaves: readonly Tensor[], differentiable: boolean) {
    this.random = random;
    this.entries = leaves.map((x) => ({ x, bound: x.dtype === 'bool' ? 1 : 9 }));
    this.differentiable = differentiable;
  }

  add(x: Tensor, bound: number): void {
    if (x.size > mostElements || x.rank > mostAxes) return;
    this.entries.push({ x, bound });
  }

  /** Newer tensors are more likely. */
  any(): Entry {
    const r = this.random.next() ** 2;
    return this.entries[this.entries.length - 1 - Math.floor(r * this.entries.length)]!;
  }

  /** An entry of this dtype, bounded. */
  numeric(entry: Entry, dtype: Numeric, most = exactBound): Entry {
    let { x, bound } = entry;
    if (x.dtype !== dtype) {
      if (dtype === 'uint32' || dtype === 'uint8') {
        // No negative numbers: a float saturates and an integer wraps.
        if (x.dtype !== 'bool' && x.dtype !== 'uint32' && x.dtype !== 'uint8') x = apply('abs', [x], {});
      }
      x = apply('cast', [x], { dtype });
      if (dtype === 'bool') bound = 1;
      if (dtype === 'uint8') bound = 255;
    }
    if (bound <= most || dtype === 'bool') return { x, bound };
    const limit = Math.min(most, 11);
    return { x: apply('rem', [x, this.filled(limit, x)], {}), bound: limit };
  }

  filled(value: number, like: Tensor): Tensor {
    return this.expand(constant(value, like.dtype, like.device), like.shape);
  }

  expand(x: Tensor, shape: readonly number[]): Tensor {
    const ones = apply('reshape', [x], { shape: shape.map(() => 1) });
    return apply('expand', [ones], { shape });
  }

  float(most = exactBound): Entry {
    return this.numeric(this.any(), 'float32', most);
  }

  /** The elements of another tensor in this shape, by broadcasting, cutting or padding. */
  fit(x: Tensor, shape: readonly number[]): Tensor {
    const grows =
      x.rank === shape.length && x.shape.every((extent, axis) => extent === shape[axis] || extent === 1);
    if (grows) return apply('expand', [x], { shape });
    const size = sizeOf(shape);
    if (x.size >= size)
      return apply('reshape', [apply('slice', [flat(x)], { start: [0], size: [size], step: [1] })], {
        shape,
      });
    return apply(
      'reshape',
      [apply('pad', [flat(x)], { low: [size - x.size], high: [0], interior: [0], value: 3 })],
      { shape },
    );
  }
}
