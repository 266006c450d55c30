/** Devices for tests. One that is not there fails the test. */
import type { Backend } from '@tutti/core/backend';
import type { CheckedDevice } from '@tutti/core/testing';
import { useDriver } from '@tutti/testbed';
import { afterAll, afterEach } from 'vitest';
import { WebgpuBackend } from '../../src/backend.ts';
import { borrowDevice, openDevice } from '../../src/runtime/device.ts';
import { findAdapter, findGpu, isAbsent } from '../../src/runtime/gpu.ts';
import { affine, increment, reversed, storeScalars } from './programs.ts';

await useDriver();

/** Programs come from the tests themselves. */
const noGenerators = {
  compileKernel: () => {
    throw new Error('this test compiles no kernels');
  },
  routine: () => undefined,
};

export async function adapter(): Promise<GPUAdapter> {
  const gpu = await findGpu();
  const found = isAbsent(gpu) ? gpu : await findAdapter(gpu, undefined);
  if (isAbsent(found)) throw new Error(`WebGPU must run here: ${found.reason}`);
  return found;
}

const open: Backend[] = [];
afterEach(() => {
  for (const backend of open.splice(0)) backend.dispose();
});

export async function make(limits: 'adapter' | 'default' = 'adapter'): Promise<WebgpuBackend> {
  const backend = new WebgpuBackend(await openDevice(await adapter(), limits === 'default'), noGenerators);
  open.push(backend);
  return backend;
}

let ofFile: Promise<WebgpuBackend> | undefined;
afterAll(async () => (await ofFile)?.dispose());

/** One device for all tests of a file that only run programs: it compiles a text once. */
export async function shared(): Promise<WebgpuBackend> {
  ofFile ??= adapter()
    .then((found) => openDevice(found, false))
    .then((device) => new WebgpuBackend(device, noGenerators));
  return ofFile;
}

/** A backend on a device that the caller made. */
export async function makeOn(device: GPUDevice): Promise<WebgpuBackend> {
  const backend = new WebgpuBackend(await borrowDevice(device, device.adapterInfo, false), noGenerators);
  open.push(backend);
  return backend;
}

/** A device as the checks of the contract want it. */
export function checked(backend: WebgpuBackend): CheckedDevice {
  return {
    backend,
    affine: (n, turns) => backend.load(affine(n, turns)),
    increment: (n) => backend.load(increment(n)),
    reversed: (n) => backend.load(reversed(n)),
    storeScalars: () => backend.load(storeScalars),
  };
}
