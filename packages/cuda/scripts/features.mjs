/** Devices that programs are planned for. None of them has to be here. */

/** Shared memory that a block may have, in KiB. */
const sharedKib = { 75: 64, 80: 163, 86: 99, 89: 99, 90: 227 };

/** A GPU of 132 multiprocessors with an architecture, `sm_90`. */
export function featuresOf(architecture) {
  const computeCapability = Number(architecture.slice(3));
  return {
    computeCapability,
    multiprocessors: 132,
    maxThreadsPerBlock: 1024,
    maxSharedBytes: sharedKib[computeCapability] * 1024,
    tf32: false,
    blas: false,
    emulated: false,
  };
}
