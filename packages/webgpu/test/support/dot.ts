/** Runs matrix products and compares them with what they must give. */
import type { DotAnchor } from '@tutti/core/backend';
import { type DotOptions, dotBuffers, dotReference, dotScalar } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { WebgpuBackend } from '../../src/backend.ts';
import type { WgslProgram } from '../../src/program.ts';
import { difference, runProgram } from './kernels.ts';

/** Runs a program for an anchor on small integers, whose sums are exact in any order, and compares all elements. */
export async function checkDot(
  backend: WebgpuBackend,
  anchor: DotAnchor,
  program: WgslProgram,
  options: DotOptions,
  random: () => number,
): Promise<void> {
  const small = (): number => Math.floor(random() * 9) - (anchor.type === 'u32' ? 0 : 4);
  const buffers = dotBuffers(anchor, small);
  const want = [...buffers];
  want[2] = dotReference(anchor, buffers, options);
  const got = await runProgram(
    backend,
    anchor,
    program,
    buffers,
    anchor.scalars.map(() => dotScalar),
  );
  const wrong = difference(anchor, got, want);
  if (wrong)
    expect.fail(`${JSON.stringify({ ...anchor, epilogue: undefined })}\n${wrong}\n${program.source()}`);
}
