/**
 * Random graphs of primitives. All values are small whole numbers, on which every operation here is exact: however a graph
 * is cut into kernels, the results are the same to the last bit.
 */
import type { DType } from '../src/backend/index.ts';
import { fromHost, type HostArray, sizeOf, type Tensor } from '../src/tensor/index.ts';
import { Random } from './random.ts';
import { numericTypes, Pool } from './random-pool.ts';
import { grow } from './random-steps.ts';

export interface RandomGraphOptions {
  /** Only what has a gradient, in float32. */
  readonly differentiable?: boolean;
  readonly steps?: number;
}

const shapes: readonly (readonly number[])[] = [
  [],
  [1],
  [5],
  [2, 3],
  [4, 1],
  [3, 4],
  [2, 1, 5],
  [0],
  [3, 0],
  [17],
  [2, 3, 4],
  [1, 1],
  [4, 4],
  [2, 2, 2, 2],
];

export interface LeafData {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly values: readonly number[];
}

export function randomLeaves(
  random: Random,
  { differentiable = false }: RandomGraphOptions = {},
): LeafData[] {
  return Array.from({ length: random.int(1, 4) }, () => {
    const shape = random.pick(shapes);
    const dtype = differentiable ? 'float32' : random.pick(numericTypes);
    const low = dtype === 'float32' || dtype === 'int32' ? -9 : 0;
    const high = dtype === 'bool' ? 1 : 9;
    return { shape, dtype, values: Array.from({ length: sizeOf(shape) }, () => random.int(low, high)) };
  });
}

export function hostOf({ dtype, values }: LeafData): HostArray {
  if (dtype === 'float32') return Float32Array.from(values);
  if (dtype === 'int32') return Int32Array.from(values);
  if (dtype === 'uint32') return Uint32Array.from(values);
  return Uint8Array.from(values);
}

export const makeLeaf = (leaf: LeafData): Tensor => fromHost(hostOf(leaf), leaf.shape, leaf.dtype);

/** A graph from a seed: the same for every device and way to run it. */
export function randomGraph(
  seed: number,
  leaves: readonly Tensor[],
  options: RandomGraphOptions = {},
): Tensor[] {
  const random = new Random(seed ^ 0x5bd1e995);
  const steps = options.steps ?? random.int(1, 16);
  const pool = new Pool(random, leaves, options.differentiable ?? false);
  for (let i = 0; i < steps; i++) grow(pool);
  const { entries } = pool;
  return Array.from({ length: random.int(1, 4) }, (_, i) => {
    const newest = entries[entries.length - 1 - (i % entries.length)]!;
    return (random.chance(0.5) ? newest : pool.any()).x;
  });
}
