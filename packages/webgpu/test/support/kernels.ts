/** Runs generated kernels on a device. */
import { printKernel } from '@tutti/core/backend';
import { type KernelCase, runProgram } from '@tutti/core/testing';
import { expect } from 'vitest';
import { compileKernel } from '../../src/kernels/index.ts';
import type { ShaderFeatures } from '../../src/program.ts';
import { shared } from './device.ts';

/** What a device without extras offers, as a software adapter and as hardware. */
export const software: ShaderFeatures = {
  exactHalves: false,
  subgroups: false,
  subgroupMinSize: 0,
  subgroupMaxSize: 0,
  maxStorageBuffers: 8,
  maxInvocations: 256,
  maxWorkgroupBytes: 16384,
  maxWorkgroups: 65535,
  software: true,
};
export const hardware: ShaderFeatures = { ...software, software: false };

/** Runs a case as it is planned for each of these devices. */
export async function checkKernel(
  { kernel, scalars, contents, check }: KernelCase,
  machines: Readonly<Record<string, ShaderFeatures>>,
): Promise<void> {
  const backend = await shared();
  for (const [name, features] of Object.entries(machines)) {
    const program = compileKernel(kernel, features);
    const wrong = check(await runProgram(backend, backend.load(program), kernel, contents(), scalars));
    if (wrong) expect.fail(`on ${name}: ${wrong}\n${printKernel(kernel)}\n${program.source()}`);
  }
}
