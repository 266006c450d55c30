import type { Kernel } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../src/program.ts';

export interface Unit {
  readonly name: string;
  /** Has one kernel, `kernel_main`. */
  readonly code: string;
}

/** Bytes, but for the registers of a thread. */
export interface Resources {
  readonly name: string;
  readonly registers: number;
  readonly spills: number;
  readonly stack: number;
  readonly shared: number;
}

export const architectures: readonly string[];
export function hasNvcc(): boolean;
/** One run of nvcc for all units, in their order. Rejects with its messages. */
export function assemble(units: readonly Unit[], architecture: string): Promise<Resources[]>;
/** The stages of kernels such as networks are made of, of the sizes that fill a GPU. */
export function typicalUnits(compileKernel: (kernel: Kernel, features: CudaFeatures) => CudaProgram): Unit[];
