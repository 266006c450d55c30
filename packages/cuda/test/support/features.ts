/** Devices that programs are planned for. None of them has to be here. */
import type { CudaFeatures } from '../../src/program.ts';

export const hopper: CudaFeatures = {
  computeCapability: 90,
  multiprocessors: 132,
  maxThreadsPerBlock: 1024,
  maxSharedBytes: 227 * 1024,
  tf32: false,
  blas: false,
  deterministic: true,
  emulated: false,
};

/** So small that little work fills it: threads get several units, and rows few threads. */
export const tiny: CudaFeatures = { ...hopper, multiprocessors: 1, maxThreadsPerBlock: 256 };

/** As the emulation describes itself. */
export const emulated: CudaFeatures = { ...hopper, multiprocessors: 4, emulated: true };
