/** Devices for tests. Where they cannot be emulated the test fails. */
import type { Backend } from '@tutti/core/backend';
import type { CheckedDevice } from '@tutti/core/testing';
import { cudaEmulator } from '@tutti/cuda-emulator';
import { afterEach } from 'vitest';
import { CudaBackend } from '../../src/backend.ts';
import { createCudaBackend } from '../../src/index.ts';
import type { CudaOptions } from '../../src/options.ts';
import type { CudaProgram } from '../../src/program.ts';
import type { Executable } from '../../src/runtime/executable.ts';
import { affine, increment, reversed, storeScalars } from './programs.ts';

const found = cudaEmulator();
if ('missing' in found) throw new TypeError(`CUDA must be emulated here: ${found.missing}`);

/** The emulator's libraries. */
export const emulator: { readonly driver: string; readonly compiler: string; readonly blas?: string } = found;

/** Products by the emulated library. */
export const withLibrary = { cublaslt: emulator.blas! } as const satisfies CudaOptions;

/** What makes a backend of an emulated device. */
export const emulation = {
  emulation: true,
  driver: emulator.driver,
  nvrtc: emulator.compiler,
} as const satisfies CudaOptions;

const open: Backend[] = [];
afterEach(() => {
  for (const backend of open.splice(0)) backend.dispose();
});

export async function make(options: CudaOptions = {}): Promise<CudaBackend> {
  const backend = await createCudaBackend({ ...emulation, ...options }).open(0);
  open.push(backend);
  if (backend instanceof CudaBackend) return backend;
  throw new TypeError('another backend was opened');
}

/** Programs that are ready. */
export async function ready(
  backend: CudaBackend,
  ...programs: readonly CudaProgram[]
): Promise<Executable[]> {
  const loaded = programs.map((program) => backend.load(program));
  await Promise.all(loaded.map((program) => program.ready));
  return loaded;
}

/** A device as the checks of the contract want it. */
export function checked(backend: CudaBackend): CheckedDevice {
  return {
    backend,
    affine: (n, turns) => backend.load(affine(n, turns)),
    increment: (n) => backend.load(increment(n)),
    reversed: (n) => backend.load(reversed(n)),
    storeScalars: () => backend.load(storeScalars),
  };
}
