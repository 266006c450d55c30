/** Runs routines on the emulator. */
import type { Anchor } from '@tutti/core/backend';
import { type AnchorCase, type BufferContents, bufferContents } from '@tutti/core/testing';
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

const bytesOf = (contents: BufferContents): Uint8Array =>
  new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength);

/** All buffers after the program has run. Compilation is part of it. */
async function runRoutine(
  backend: CudaBackend,
  { buffers }: Pick<Anchor, 'buffers'>,
  program: CudaProgram,
  contents: readonly BufferContents[],
  scalars: readonly number[],
): Promise<BufferContents[]> {
  const loaded = backend.load(program);
  const bound = contents.map((each) => {
    const buffer = backend.allocate(each.byteLength);
    backend.write(buffer, bytesOf(each));
    return buffer;
  });
  await loaded.ready;
  backend.submit([{ kind: 'dispatch', program: loaded, buffers: bound, scalars }]);
  const results = await Promise.all(
    buffers.map(async ({ dtype, length }, i) => {
      const result = bufferContents(dtype, length);
      bytesOf(result).set(await backend.read(bound[i]!, 0, result.byteLength));
      return result;
    }),
  );
  for (const buffer of bound) backend.free(buffer);
  return results;
}

const text = ({ buffers: _, epilogue: _e, ...rest }: Anchor): string => JSON.stringify(rest);

/** Runs a case by a routine, and says what is wrong. */
export async function checkRoutine(
  backend: CudaBackend,
  each: AnchorCase,
  program: CudaProgram | undefined,
): Promise<void> {
  if (!program) expect.fail(`${each.name}: no routine`);
  const got = await runRoutine(backend, each.anchor, program, each.contents(), each.scalars);
  const wrong = each.check(got);
  if (wrong) expect.fail(`${each.name}: ${wrong}\n${text(each.anchor)}\n${program.source()}`);
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
