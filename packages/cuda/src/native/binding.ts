/**
 * What the addon offers. It speaks of addresses, streams and images of code, never of buffers, kernels or programs: those are
 * in TypeScript.
 *
 * Errors of a library come as an Error with `code` (`CUDA_ERROR_OUT_OF_MEMORY`, `NVRTC_ERROR_COMPILATION`, `LIBRARY_NOT_FOUND`,
 * `SYMBOL_NOT_FOUND`), `call` (the function of the library) and `status` (its number); wrong arguments as one with `INVALID_ARGUMENT`, which
 * is a defect of the caller. What gives a promise throws at once what is known at once. Addresses and sizes are numbers: an address of
 * the device has at most 49 bits.
 */
export interface Binding {
  /** Of this interface. An addon of another version is not used. */
  readonly interfaceVersion: number;
  /** Loads and initialises a driver library; the same path gives the same driver. @throws LIBRARY_NOT_FOUND, or what the driver says. */
  openDriver(path: string): Driver;
  /** Loads a library with NVRTC's interface. */
  openCompiler(path: string): Compiler;
  /** Loads a library with cuBLASLt's interface, which devices are then opened with by the same path. */
  openBlas(path: string): Blas;
}

export interface Driver {
  /** 13000 for CUDA 13.0: the newest version of CUDA that the driver knows. Of one too old for everything else as well. */
  readonly version: number;
  /** The library says of itself that it emulates a GPU. */
  readonly emulated: boolean;
  deviceCount(): number;
  describe(index: number): DeviceDescription;
  /** Retains the primary context. */
  open(index: number, settings: DeviceSettings): NativeDevice;
}

export interface DeviceSettings {
  /** Bytes of pinned memory through which uploads go: 64 KiB to 1 GiB. */
  readonly stagingBytes: number;
  /** The library for products. */
  readonly blas?: string | undefined;
}

export interface DeviceDescription {
  readonly name: string;
  /** 90 for compute capability 9.0. */
  readonly computeCapability: number;
  readonly totalBytes: number;
  readonly multiprocessors: number;
  readonly maxThreadsPerBlock: number;
  readonly sharedBytesPerBlock: number;
  /** With the opt-in of a function. */
  readonly maxSharedBytesPerBlock: number;
  readonly sharedBytesPerMultiprocessor: number;
  readonly registersPerMultiprocessor: number;
  readonly l2Bytes: number;
  /** `cuMemAllocAsync` works. */
  readonly memoryPools: boolean;
  readonly uuid: string;
}

/**
 * A device with a stream for work and one for uploads. Everything happens in the order of the calls, as far as it can be seen in memory.
 * After an error that the driver does not recover from every call throws it, and what is pending rejects with it. An object that nobody
 * has any more is closed, but not while something is pending, which also keeps the process alive.
 */
export interface NativeDevice {
  /** Stream-ordered where the device has memory pools. @throws CUDA_ERROR_OUT_OF_MEMORY */
  allocate(bytes: number): number;
  /** After everything submitted so far. */
  free(address: number): void;
  /** Waits, and gives memory that is kept for reuse back to the system. */
  trim(): void;
  memoryInfo(): { readonly free: number; readonly total: number };

  /** Loads a CUBIN. */
  loadModule(image: Uint8Array): number;
  unloadModule(module: number): void;
  /** A function of a module, allowed to use so much dynamic shared memory. */
  getFunction(module: number, entry: string, dynamicSharedBytes: number): number;
  functionInfo(fn: number): FunctionInfo;

  /**
   * Prepares products of one shape by the library that the device was opened with: its choice of an algorithm is made here, once.
   * @throws CUBLAS_STATUS_NOT_SUPPORTED where it has none
   */
  prepareProduct(product: ProductDescription): number;
  releaseProduct(product: number): void;

  /** Runs encoded commands in order. Copies what it is given. Never waits for the device. */
  submit(words: Uint32Array, length: number): void;
  /** Makes a graph of encoded commands, without running them. */
  capture(words: Uint32Array, length: number): number;
  launchGraph(graph: number): void;
  releaseGraph(graph: number): void;
  /** Runs encoded commands and gives the milliseconds between the marks among them. */
  time(words: Uint32Array, length: number): Promise<Float64Array>;

  /**
   * Writes bytes. Seen by everything submitted later. `idle` says that nothing submitted so far touches the target: then the upload
   * does not wait for the work before it. Waits where the memory for staging is full of bytes that the device has not come to.
   */
  write(address: number, data: Uint8Array, idle: boolean): void;
  /** Reads once everything submitted so far has run. */
  read(address: number, bytes: number): Promise<Uint8Array>;
  readSync(address: number, bytes: number): Uint8Array;
  /** Copies from memory of another device that is open, once everything submitted so far to either has run. */
  copyFrom(source: NativeDevice, address: number, sourceAddress: number, bytes: number): void;
  /** Settles when everything submitted so far has run. */
  passed(): Promise<void>;
  /** Figures for tests and reports. */
  statistics(): NativeStatistics;
  /** Releases everything; pending promises reject with code `DISPOSED`. */
  close(): void;
}

export interface FunctionInfo {
  readonly registers: number;
  /** Bytes of local memory of a thread: spilled registers and arrays. */
  readonly localBytes: number;
  readonly staticSharedBytes: number;
  readonly maxThreadsPerBlock: number;
}

export interface NativeStatistics {
  /** Live allocations of device memory, and their bytes. */
  readonly allocations: number;
  readonly bytes: number;
  readonly pinnedBytes: number;
  readonly modules: number;
  readonly graphs: number;
  /** Prepared. */
  readonly products: number;
  /** Uploads that went beside the work, and those that waited for it. */
  readonly overlappedWrites: number;
  readonly orderedWrites: number;
}

/** A library for products. */
export interface Blas {
  /** 130002 for 13.0.2. */
  readonly version: number;
  readonly emulated: boolean;
}

export type ProductType = 'float32' | 'float16' | 'bfloat16';

/** An operand of a product: lines of neighbouring elements at even distances. The lines are its rows; transposed, its columns. */
export interface ProductOperand {
  readonly transposed: boolean;
  /** Elements from one line to the next. */
  readonly leading: number;
  /** Elements from one matrix to the next; 0 where all share one. */
  readonly batchStride: number;
  /** Bytes of which every address is a multiple. */
  readonly alignment: number;
}

/** `result[b, m, n] = sum_k lhs[b, m, k] * rhs[b, k, n] (+ bias[n])`: sums are float32, and rounded once; the result is contiguous. */
export interface ProductDescription {
  readonly operandType: ProductType;
  /** `float32`, or that of the operands. */
  readonly resultType: ProductType;
  /** Operands of float32 may be rounded to TF32. */
  readonly tf32: boolean;
  readonly batches: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly lhs: ProductOperand;
  readonly rhs: ProductOperand;
  readonly resultAlignment: number;
  /** In the result's type. */
  readonly bias: boolean;
  /** The most scratch memory that it may use. */
  readonly workspaceBytes: number;
}

export interface Compiler {
  readonly version: readonly [major: number, minor: number];
  /** Architectures that it makes code for: 75, 80, 90. */
  readonly architectures: readonly number[];
  /** Compiles on a thread of its own. Rejects with NVRTC_ERROR_COMPILATION and `log`. */
  compile(source: string, name: string, options: readonly string[]): Promise<CompiledImage>;
  /** Compiles while the caller waits. */
  compileSync(source: string, name: string, options: readonly string[]): CompiledImage;
}

export interface CompiledImage {
  /** A CUBIN. */
  readonly image: Uint8Array;
  readonly log: string;
}

/**
 * Commands in 32-bit words: what it is, how many words it has in all, then its fields. 64-bit fields are two words, low first.
 *
 *     launch  0  n  function  gridX gridY gridZ  blockX blockY blockZ  sharedBytes  parameterBytes  parameters...
 *     copy    1  8  target(2)  source(2)  bytes(2)
 *     mark    2  2                         a point of time, for `time` alone
 *     product 3 13  product  lhs(2) rhs(2) result(2) bias(2) workspace(2)
 *
 * The parameters of a launch are laid out as the kernel's own: each at a multiple of its size, padded to a multiple of 4.
 */
export const commandCode = { launch: 0, copy: 1, mark: 2, product: 3 } as const;

export const interfaceVersion = 3;
