import type { DType } from './dtype.ts';

/** What a device can do. The compiler asks these and never the backend's name. */
export interface Capabilities {
  /** Dtypes a buffer can hold and kernels can load and store. */
  readonly storage: readonly DType[];
  /** Most buffers that one kernel may bind, at least 4. */
  readonly buffersPerKernel: number;
  /** Most bytes of one buffer. */
  readonly bytesPerBuffer: number;
  /** Kernels may have several phases over the same row, and loops in map phases. */
  readonly rowPrograms: boolean;
  /** A map phase may have several stores. */
  readonly multipleOutputs: boolean;
  /** Stores may go to computed indices, and may add to what is there (`mode: 'add' | 'max'`). */
  readonly scatterStores: boolean;
  /** Index variables whose sum of parallel work is below this run alone: a reduction that leaves fewer points is split. */
  readonly parallelism: number;
  /** A reduction longer than this, with fewer points than `parallelism`, is done in two passes. */
  readonly reduceSplit: number;
  /** Most buffers that a joint kernel may bind, all parts together. 0: every kernel runs by itself, and `joint` need not exist. */
  readonly jointBuffers: number;
  /** `readSync` exists and can wait for the device. */
  readonly syncRead: boolean;
  /** `time` exists. */
  readonly timing: boolean;
}

/** The least a backend can offer; it states only where it differs. */
export const defaultCapabilities: Capabilities = {
  storage: ['float32', 'float16', 'bfloat16', 'int32', 'uint32', 'uint8', 'bool'],
  buffersPerKernel: 8,
  bytesPerBuffer: 128 * 1024 * 1024,
  rowPrograms: true,
  multipleOutputs: true,
  scatterStores: true,
  parallelism: 64,
  reduceSplit: 16384,
  jointBuffers: 0,
  syncRead: false,
  timing: false,
};
