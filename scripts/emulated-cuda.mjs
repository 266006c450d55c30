// CUDA without a GPU: the backend on a driver that runs its kernels on the processor. A module for `tutti --register`:
//   node packages/cli/dist/bin.js doctor --register ./scripts/emulated-cuda.mjs
// It is called `cuda-emulated`, and is not available, with the reason, where the emulator could not be built or a variable for it is wrong.

import { BackendUnavailableError } from '../packages/core/dist/backend/index.js';
import { createCudaBackend } from '../packages/cuda/dist/index.js';
import { cudaEmulator, settingsProblem } from '../packages/cuda-emulator/dist/index.js';

/** @param found What `cudaEmulator` gives. */
export function backendOf(found, environment = process.env) {
  if ('missing' in found) return absent(found.missing, 'install g++, and build the workspace again');
  const problem = settingsProblem(environment);
  if (problem !== undefined) return absent(problem, 'packages/cuda-emulator/README.md has the settings');
  return createCudaBackend({ emulation: true, driver: found.driver, nvrtc: found.compiler });
}

const absent = (reason, fix) => ({
  name: 'cuda-emulated',
  priority: 5,
  probe: async () => ({ available: false, reason, fix }),
  open: () => Promise.reject(new BackendUnavailableError(reason, { fix })),
});

export const cudaEmulated = backendOf(cudaEmulator());
