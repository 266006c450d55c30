/** Runs generated kernels on a device. */
import { type Kernel, printKernel } from '@tutti/core/backend';
import { type BufferContents, bufferContents, type KernelCase } from '@tutti/core/testing';
import { expect } from 'vitest';
import type { WebgpuBackend } from '../../src/backend.ts';
import { compileKernel } from '../../src/kernels/index.ts';
import type { ShaderFeatures, WgslProgram } from '../../src/program.ts';
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

const bytesOf = (contents: BufferContents): Uint8Array =>
  new Uint8Array(contents.buffer, contents.byteOffset, contents.byteLength);

/** All buffers after the program has run. Compilation is part of it, and fails with the WGSL. */
export async function runProgram(
  backend: WebgpuBackend,
  kernel: Pick<Kernel, 'buffers'>,
  program: WgslProgram,
  buffers: readonly BufferContents[],
  scalars: readonly number[] = [],
): Promise<BufferContents[]> {
  const loaded = backend.load(program);
  const bound = buffers.map((contents) => {
    const buffer = backend.allocate(contents.byteLength);
    backend.write(buffer, bytesOf(contents));
    return buffer;
  });
  await loaded.ready;
  backend.submit([{ kind: 'dispatch', program: loaded, buffers: bound, scalars }]);
  const results = await Promise.all(
    kernel.buffers.map(async ({ dtype, length }, i) => {
      const contents = bufferContents(dtype, length);
      bytesOf(contents).set(await backend.read(bound[i]!, 0, contents.byteLength));
      return contents;
    }),
  );
  for (const buffer of bound) backend.free(buffer);
  return results;
}

export const runKernel = (
  backend: WebgpuBackend,
  kernel: Kernel,
  features: ShaderFeatures,
  buffers: readonly BufferContents[],
  scalars: readonly number[] = [],
): Promise<BufferContents[]> =>
  runProgram(backend, kernel, compileKernel(kernel, features), buffers, scalars);

/** Runs a case as it is planned for each of these devices. */
export async function checkKernel(
  { kernel, scalars, contents, check }: KernelCase,
  machines: Readonly<Record<string, ShaderFeatures>>,
): Promise<void> {
  const backend = await shared();
  for (const [name, features] of Object.entries(machines)) {
    const program = compileKernel(kernel, features);
    const wrong = check(await runProgram(backend, kernel, program, contents(), scalars));
    if (wrong) expect.fail(`on ${name}: ${wrong}\n${printKernel(kernel)}\n${program.source()}`);
  }
}
