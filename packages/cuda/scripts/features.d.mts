import type { CudaFeatures } from '../src/program.ts';

/** A GPU of 132 multiprocessors with this architecture, `sm_90`. */
export function featuresOf(architecture: string): CudaFeatures;
