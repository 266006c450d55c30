/** The tiles of a product on a device: everything that does not depend on where operands come from. */
import type { CudaFeatures } from '../program.ts';
import type { Core } from './core.ts';
import { type MmaName, mmaShape, type SimtName, simtShape } from './dot-plan.ts';
import { mmaCore, mmaThreads } from './mma.ts';
import { simtCore, simtThreads } from './simt.ts';
import { type Format, formatBytes, type TileMemory } from './tile-memory.ts';

export interface Tiling {
  /** For people. */
  readonly name: string;
  readonly format: Format;
  readonly rows: number;
  readonly columns: number;
  /** Steps of the contraction at once. */
  readonly depth: number;
  readonly stages: number;
  readonly threads: number;
  readonly resident: number;
  readonly core: (left: TileMemory, right: TileMemory) => Core;
}

/** Tiles on CUDA cores. */
export function simtTiling(name: SimtName, format: 'f32' | 'u32', features: CudaFeatures): Tiling {
  const shape = simtShape(name, features);
  return {
    ...shape,
    name: `tiles of ${name} on CUDA cores`,
    format,
    threads: simtThreads(shape),
    core: (left, right) => simtCore(shape, left, right),
  };
}

/** Tiles on tensor cores. */
export function mmaTiling(name: MmaName, format: 'f16' | 'bf16' | 'tf32', features: CudaFeatures): Tiling {
  const shape = mmaShape(name, features);
  return {
    ...shape,
    name: `tiles of ${name} on tensor cores, ${format}`,
    format,
    depth: shape.depthBytes / formatBytes(format),
    threads: mmaThreads(shape),
    core: (left, right) => mmaCore(shape, left, right, features.computeCapability),
  };
}
