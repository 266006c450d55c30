import type { BufferContents } from './interpret.ts';

/** Something for a device to compute: what its buffers hold before, and what they must hold after. */
export interface TestCase {
  readonly name: string;
  /** Values of the scalar parameters. */
  readonly scalars: readonly number[];
  /** What the buffers hold before it runs: the same at each call, and the caller's to change. */
  readonly contents: () => BufferContents[];
  /** What is wrong in the buffers after it has run, in words; undefined where nothing is. */
  readonly check: (got: readonly BufferContents[]) => string | undefined;
}
