/** What forms products of two tiles in shared memory, and holds the sums in registers. */
import type { RunWidth } from './epilogue.ts';

/** Texts of a run of neighbouring columns, within the block's tile of the result. */
export type WriteRun = (row: string, column: string, values: readonly string[]) => string;

export interface Core {
  readonly rows: number;
  readonly columns: number;
  readonly threads: number;
  /** Blocks that should fit a multiprocessor, as far as registers go. */
  readonly resident: number;
  /** Shared memory that sums pass on their way out. */
  readonly resultBytes: number;
  /** Statements before the loop. */
  readonly declare: () => string;
  /** Adds the products of two tiles; texts point to their bytes. */
  readonly multiply: (left: string, right: string) => string;
  /** Whether any of the thread's sums is NaN: adds to `broken`. */
  readonly check: () => string;
  /** Hands over all sums in runs; `row` and `column` are names. */
  readonly results: (width: RunWidth, write: WriteRun) => string;
}
