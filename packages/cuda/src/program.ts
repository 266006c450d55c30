/**
 * The seam between what generates CUDA C (kernels/, routines/) and what runs it (runtime/).
 *
 * A program is a list of stages, each one launch of a kernel or one call of a library. Stages run in order on one stream; what
 * one stores, the next sees. Buffers hold elements as the host lays them out: float16 and bfloat16 as 16-bit words, uint8 and
 * bool as bytes.
 *
 * The text of a kernel is C++17 without any header, because a user's machine has none: what it needs beyond the built-ins of
 * the compiler comes from our own prelude. It is compiled without contraction of products and sums (`-fmad=false`); where a
 * fused multiply-add is wanted, the text says so.
 */
import type { Program, ScalarType } from '@tutti/core/backend';
import type { ProductDescription } from './native/binding.ts';

/** A place in a buffer of the command, or in the workspace. */
export type StagePointer =
  | { readonly kind: 'buffer'; readonly index: number; readonly byteOffset?: number }
  | { readonly kind: 'workspace'; readonly byteOffset: number };

/** What a parameter of a kernel is given: pointers, and scalars and constants (4 bytes). */
export type StageParameter =
  | StagePointer
  | { readonly kind: 'scalar'; readonly index: number }
  | { readonly kind: 'constant'; readonly value: number };

export interface KernelStage {
  readonly kind: 'kernel';
  /** A whole translation unit with `extern "C" __global__ void <entry>(...)`. */
  readonly code: string;
  readonly entry: string;
  /** In the order of the kernel's parameters. */
  readonly parameters: readonly StageParameter[];
  readonly grid: readonly [number, number, number];
  readonly block: readonly [number, number, number];
  /** Bytes of dynamic shared memory. */
  readonly sharedBytes: number;
}

/** A matrix product by cuBLASLt. */
export interface ProductStage {
  readonly kind: 'product';
  readonly product: ProductDescription;
  readonly lhs: StagePointer;
  readonly rhs: StagePointer;
  readonly result: StagePointer;
  /** Where the description has one. */
  readonly bias: StagePointer | undefined;
  /** Where `workspaceBytes` of the description are free. */
  readonly scratch: StagePointer;
}

export type Stage = KernelStage | ProductStage;

export interface CudaProgram extends Program {
  readonly stages: readonly Stage[];
  readonly scalarTypes: readonly ScalarType[];
  /** Bytes of scratch memory that all stages share during one run; 0 for none. Aligned to 256. */
  readonly workspaceBytes: number;
  /** What takes its place where the library has no algorithm for a product. */
  readonly otherwise?: CudaProgram;
}

/** A program without a library. */
export interface KernelProgram extends CudaProgram {
  readonly stages: readonly KernelStage[];
}

/** The text of a stage, for people. */
export const stageText = (stage: Stage): string =>
  stage.kind === 'kernel' ? stage.code : `// a product by cuBLASLt: ${JSON.stringify(stage.product)}\n`;

/** What generated code may count on. */
export interface CudaFeatures {
  /** 75 for sm_75, 90 for sm_90. */
  readonly computeCapability: number;
  readonly multiprocessors: number;
  readonly maxThreadsPerBlock: number;
  /** Shared memory that a block may have, with the opt-in to more than 48 KiB. */
  readonly maxSharedBytes: number;
  /** Float32 products may be rounded to TF32 on tensor cores. */
  readonly tf32: boolean;
  /** Matrix products may be left to cuBLASLt. */
  readonly blas: boolean;
  /** The device is emulated: threads are dear, and figures say nothing of a GPU. */
  readonly emulated: boolean;
}
