// CUDA without a GPU: the backend on a driver that runs its kernels on the processor. A module for `tutti --register`:
//   node packages/cli/dist/bin.js doctor --register ./scripts/emulated-cuda.mjs
// It is called `cuda-emulated`, and is not available, with the reason, where the emulator could not be built.

import { BackendUnavailableError } from '../packages/core/dist/backend/index.js';
import { createCudaBackend } from '../packages/cuda/dist/index.js';
import { cudaEmulator } from '../packages/cuda-emulator/dist/index.js';

/** @param found What `cudaEmulator` gives. */
export function backendOf(found) {
  if (!('missing' in found))
    return createCudaBackend({ emulation: true, driver: found.driver, nvrtc: found.compiler });
  const reason = found.missing;
  const fix = 'install g++, and build the workspace again';
  return {
    name: 'cuda-emulated',
    priority: 5,
    probe: async () => ({ available: false, reason, fix }),
    open: () => Promise.reject(new BackendUnavailableError(reason, { fix })),
  };
}

export const cudaEmulated = backendOf(cudaEmulator());
