/** Runs generated kernels on a device, and says where they differ from the interpreter. */
import type { Kernel } from '@tutti/core/backend';
import { type BufferContents, bufferContents, readElement } from '@tutti/core/testing';
import type { WebgpuBackend } from '../../src/backend.ts';
import { compileKernel } from '../../src/kernels/index.ts';
import type { ShaderFeatures, WgslProgram } from '../../src/program.ts';

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

/** The first element that differs. NaNs are equal. */
export function difference(
  kernel: Pick<Kernel, 'buffers'>,
  got: readonly BufferContents[],
  want: readonly BufferContents[],
  zeros: 'alike' | 'signed' = 'alike',
): string | undefined {
  for (const [i, { dtype, length }] of kernel.buffers.entries()) {
    for (let k = 0; k < length; k++) {
      const [a, b] = [readElement(dtype, got[i]!, k), readElement(dtype, want[i]!, k)];
      if (!sameValue(a, b, zeros)) return `b${i}[${k}] is ${a}, not ${b}`;
    }
  }
  return undefined;
}

/** Below this, devices may take a float for zero. */
const leastNormal = 2 ** -126;

/** Which of two zeros max and min give is open, and with it the sign of many others. */
function sameValue(got: number, want: number, zeros: 'alike' | 'signed'): boolean {
  if (Object.is(got, want)) return true;
  if (want !== 0 || zeros === 'alike')
    return got === want || (Math.abs(got) < leastNormal && Math.abs(want) < leastNormal);
  return false;
}
