/** Devices that programs are planned for. None of them has to be here. */
import { featuresOf } from '../../scripts/features.mjs';
import type { CudaFeatures } from '../../src/program.ts';

export const hopper: CudaFeatures = featuresOf('sm_90');

/** So small that little work fills it: threads get several units, and rows few threads. */
export const tiny: CudaFeatures = { ...hopper, multiprocessors: 1, maxThreadsPerBlock: 256 };

/** As the emulation describes itself. */
export const emulated: CudaFeatures = { ...hopper, multiprocessors: 4, emulated: true };
