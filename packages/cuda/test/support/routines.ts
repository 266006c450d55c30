/** Runs routines on the emulator. */
import type { Anchor } from '@tutti/core/backend';
import { type AnchorCase, runProgram } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { CudaBackend } from '../../src/backend.ts';
import type { CudaFeatures, CudaProgram } from '../../src/program.ts';
import { hopper } from './features.ts';

/** The first device with tensor cores: no copies beside the work, and little shared memory. */
export const turing: CudaFeatures = {
  ...hopper,
  computeCapability: 75,
  maxSharedBytes: 64 * 1024,
  multiprocessors: 68,
};

/** Where float32 may be rounded to TF32. */
export const rounding: CudaFeatures = { ...hopper, tf32: true };

const text = ({ buffers: _, epilogue: _e, ...rest }: Anchor): string => JSON.stringify(rest);

/** Runs a case by a routine, and says what is wrong. */
export async function checkRoutine(
  backend: CudaBackend,
  each: AnchorCase,
  program: CudaProgram | undefined,
): Promise<void> {
  if (!program) expect.fail(`${each.name}: no routine`);
  const { anchor, contents, scalars } = each;
  const wrong = each.check(await runProgram(backend, backend.load(program), anchor, contents(), scalars));
  if (wrong) expect.fail(`${each.name}: ${wrong}\n${text(anchor)}\n${program.source()}`);
}

/** Runs cases by the routines that `programs` gives for them, several at a time: compilation is what takes the time. */
export async function checkRoutines<C extends AnchorCase>(
  backend: CudaBackend,
  cases: readonly C[],
  programs: (each: C) => readonly (CudaProgram | undefined)[],
): Promise<void> {
  const work = cases.flatMap((each) => programs(each).map((program) => ({ each, program })));
  const together = 8;
  for (let i = 0; i < work.length; i += together)
    await Promise.all(
      work.slice(i, i + together).map(({ each, program }) => checkRoutine(backend, each, program)),
    );
}
