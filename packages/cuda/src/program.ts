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

/** What a parameter of a kernel is given: pointers to a buffer of the command or to the workspace, and scalars (4 bytes). */
export type StageParameter =
  | { readonly kind: 'buffer'; readonly index: number }
  | { readonly kind: 'workspace'; readonly byteOffset: number }
  | { readonly kind: 'scalar'; readonly index: number };

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

export interface CudaProgram extends Program {
  readonly stages: readonly KernelStage[];
  readonly scalarTypes: readonly ScalarType[];
  /** Bytes of scratch memory that all stages share during one run; 0 for none. Aligned to 256. */
  readonly workspaceBytes: number;
}

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
  /** Programs for the same work give the same bits in every run. */
  readonly deterministic: boolean;
  /** The device is emulated: threads are dear, and figures say nothing of a GPU. */
  readonly emulated: boolean;
}
