/** What a device is, in the contract's words and in those of generated code. */
import { type Capabilities, type DeviceInfo, defaultCapabilities, formatBytes } from '@tutti/core/backend';
import { formatCapability } from '../compiler/architecture.ts';
import type { Compiler, DeviceDescription, Driver } from '../native/binding.ts';
import type { CudaFeatures } from '../program.ts';

/** Indices of kernels are signed and have 32 bits, and those of threads beyond the end have to be seen as such; addresses have 64 bits. */
export const mostElements: number = 2 ** 31 - 2 ** 24;
const widestElement = 4;

/** A kernel has 4 KiB of parameters, which is 512 buffers; but so many operands in one kernel leave no registers to compute with. */
const buffersPerKernel = 64;

/** A joint kernel becomes as many launches as its buffers need; so many keep a command of a reasonable size. */
const jointBuffers = 4096;

/**
 * A block of threads for each result of a reduction: with four of them the multiprocessors of a GPU are busy. The compiler cuts a longer
 * reduction with fewer results in two, and each part should still be long enough to be worth a block.
 */
const blocksPerMultiprocessor = 4;
const reduceSplit = 8192;

export function capabilitiesOf({ totalBytes, multiprocessors }: DeviceDescription): Capabilities {
  return {
    ...defaultCapabilities,
    buffersPerKernel,
    bytesPerBuffer: Math.min(mostElements * widestElement, totalBytes - (totalBytes % 256)),
    rowPrograms: true,
    multipleOutputs: true,
    scatterStores: true,
    parallelism: multiprocessors * blocksPerMultiprocessor,
    reduceSplit,
    jointBuffers,
    syncRead: true,
    timing: true,
  };
}

const formatVersion = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

/** @param notes Further sentences, such as what does not work. */
export function describeDevice(
  device: DeviceDescription,
  driver: Driver,
  compiler: Compiler,
  notes: readonly string[],
): DeviceInfo {
  const parts = [
    `${device.name}, compute capability ${formatCapability(device.computeCapability)}`,
    formatBytes(device.totalBytes),
    `driver for CUDA ${formatVersion(driver.version)}`,
    `NVRTC ${compiler.version.join('.')}`,
    ...notes,
    ...(driver.emulated ? ['emulated on the processor'] : []),
  ];
  return {
    description: parts.join(', '),
    emulated: driver.emulated,
    capabilities: capabilitiesOf(device),
  };
}

/** TF32 came with compute capability 8.0. */
const leastForTf32 = 80;

export function featuresOf(
  device: DeviceDescription,
  { emulated }: Driver,
  wishes: { readonly tf32: boolean; readonly blas: boolean },
): CudaFeatures {
  return {
    computeCapability: device.computeCapability,
    multiprocessors: device.multiprocessors,
    maxThreadsPerBlock: device.maxThreadsPerBlock,
    maxSharedBytes: device.maxSharedBytesPerBlock,
    tf32: wishes.tf32 && device.computeCapability >= leastForTf32,
    blas: wishes.blas,
    emulated,
  };
}
