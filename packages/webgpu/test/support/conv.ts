/** Runs convolutions and compares them with what they must give. */
import type { ConvAnchor } from '@tutti/core/backend';
import { type ConvCase, convDifference } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { WebgpuBackend } from '../../src/backend.ts';
import type { ShaderFeatures, WgslProgram } from '../../src/program.ts';
import { runProgram } from './kernels.ts';

const text = ({ kind: _k, name: _n, buffers: _b, type: _t, epilogue: _e, ...rest }: ConvAnchor): string =>
  JSON.stringify(rest);

/** Runs a program for a case, within the limits that it was made for. */
export async function checkConv(
  backend: WebgpuBackend,
  example: ConvCase,
  program: WgslProgram,
  features: ShaderFeatures,
): Promise<void> {
  const { anchor, buffers, scalars } = example;
  for (const { workgroups, bindings } of program.stages) {
    expect(Math.max(...workgroups)).toBeLessThanOrEqual(features.maxWorkgroups);
    const storage = bindings.filter(({ access }) => access !== 'uniform');
    expect(storage.length).toBeLessThanOrEqual(features.maxStorageBuffers);
  }
  const results = await runProgram(backend, anchor, program, buffers, scalars);
  const wrong = convDifference(example, results);
  if (wrong) expect.fail(`${wrong}\n${text(anchor)}\n${program.source()}`);
}
