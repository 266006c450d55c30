/**
 * The seam between what generates WebAssembly (kernels/, routines/) and what runs it (runtime/).
 *
 * A program is a list of stages. A stage is one wasm function that works on a range of independent units; the runtime
 * cuts 0..units into ranges, hands them to the threads, and puts a barrier between stages. A unit's result never depends
 * on how the range was cut, so one thread and many give the same bits.
 */
import type { Program } from '@tutti/core/backend';
import type { FunctionBuilder, ModuleBuilder } from './wasm/index.ts';

/**
 * The parameters of every stage function, in order; all are i32.
 *
 * - `begin`, `end`: the range of units.
 * - `args`: address of the argument block: one i32 for each of the program's buffers (its address), then one i32 with
 *   the address of the workspace, then 4 bytes for each scalar parameter (f32 bits, or i32/u32/bool as i32).
 * - `scratch`: address of memory that belongs to the calling thread alone for the duration of the call. 64-byte aligned.
 *
 * All addresses are byte offsets in the one linear memory. Buffers and workspaces are 64-byte aligned, and each has at
 * least 64 readable bytes behind its end, so a vector load may run over (its surplus lanes must not be used).
 */
export const stageParameters = ['begin', 'end', 'args', 'scratch'] as const;

export interface Stage {
  readonly units: number;
  /** Ranges are cut at multiples of this number of units. */
  readonly grain: number;
  /** Rough cost of one unit in nanoseconds on one thread: decides whether to call other threads at all. */
  readonly cost: number;
  /** Emits the function's body; called once, when the module that holds it is built. */
  readonly emit: (fn: FunctionBuilder, module: ModuleBuilder) => void;
}

export interface WasmProgram extends Program {
  readonly stages: readonly Stage[];
  /** Number of buffers a command binds. */
  readonly bufferCount: number;
  readonly scalarCount: number;
  /** Types of the scalars, to encode them: 'f32' as float bits, the others as integers. */
  readonly scalarTypes: readonly ('f32' | 'i32' | 'u32' | 'bool')[];
  /** Memory shared by all threads and stages for one run of the program. */
  readonly workspaceBytes: number;
  /** Memory for each thread. */
  readonly scratchBytes: number;
}
