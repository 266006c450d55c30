/** Runs routines and compares what they make with what they must make. */
import { type AnchorCase, runProgram } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { ShaderFeatures, WgslProgram } from '../../src/program.ts';
import { shared } from './device.ts';

/** Runs a program for a case, within the limits that it was made for. */
export async function checkAnchor(
  { anchor, contents, scalars, check }: AnchorCase,
  program: WgslProgram | undefined,
  features: ShaderFeatures,
): Promise<void> {
  if (!program) expect.fail('no routine');
  for (const { workgroups, bindings } of program.stages) {
    expect(Math.max(...workgroups)).toBeLessThanOrEqual(features.maxWorkgroups);
    const storage = bindings.filter(({ access }) => access !== 'uniform');
    expect(storage.length).toBeLessThanOrEqual(features.maxStorageBuffers);
  }
  const backend = await shared();
  const wrong = check(await runProgram(backend, backend.load(program), anchor, contents(), scalars));
  if (wrong) {
    const text = JSON.stringify({ ...anchor, buffers: undefined, epilogue: undefined });
    expect.fail(`${wrong}\n${text}\n${program.source()}`);
  }
}
