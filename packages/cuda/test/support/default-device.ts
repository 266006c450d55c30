/** An emulated device as the default one, as a program takes it. */
import { registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import { afterEach } from 'vitest';
import { CudaBackend } from '../../src/backend.ts';
import { createCudaBackend } from '../../src/index.ts';
import type { CudaOptions } from '../../src/options.ts';
import { emulation } from './device.ts';

export const id = 'cuda-emulated';

afterEach(() => unregisterBackend(id));

export async function take(options: CudaOptions = {}): Promise<CudaBackend> {
  registerBackend(createCudaBackend({ ...emulation, ...options }));
  const { backend } = await setDefaultDevice(id);
  if (backend instanceof CudaBackend) return backend;
  throw new TypeError('another backend was opened');
}
