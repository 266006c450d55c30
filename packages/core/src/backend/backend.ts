/**
 * The contract between the runtime and a device. A backend sees buffers, programs and commands; never tensors, user
 * shapes or gradients.
 */
import type { Capabilities } from './capabilities.ts';
import type { TuttiError } from './errors.ts';
import type { JointKernel, Kernel } from './kernel.ts';
import type { Anchor } from './routine.ts';

/** How a backend makes itself known. Registering one costs nothing: no driver is touched before `probe`. */
export interface BackendFactory {
  /** Lower case, the first half of a device id: `cpu`, `cuda` in `cuda:1`. */
  readonly name: string;
  /** Among available backends the automatic choice takes the highest. */
  readonly priority: number;
  /**
   * Looks for the devices. Never throws for a missing driver: that is an answer.
   *
   * @throws ArgumentError for a wrong setting: the automatic choice then takes nobody else.
   */
  probe(): Promise<ProbeResult>;
  /** Opens the device with this index. */
  open(index: number): Promise<Backend>;
}

export type ProbeResult =
  | { readonly available: true; readonly devices: readonly DeviceInfo[] }
  | {
      readonly available: false;
      /** Why, in one sentence. */
      readonly reason: string;
      /** What a person can do about it: a command, a setting. */
      readonly fix: string;
    };

export interface DeviceInfo {
  /** For people: "AMD EPYC, 2 threads, SIMD with relaxed FMA". */
  readonly description: string;
  /** True where software stands in for the hardware, so that no figure is mistaken. */
  readonly emulated: boolean;
  readonly capabilities: Capabilities;
}

/** An opaque piece of device memory. Contents are undefined until written. */
export interface DeviceBuffer {
  readonly bytes: number;
}

/** Something that commands can run: a compiled kernel or a routine. */
export interface Program {
  readonly name: string;
  /** Settles when the program can be submitted; absent where that is so at once. Rejects with KernelError. */
  readonly ready?: Promise<void> | undefined;
  /**
   * Makes it ready at once, while the caller waits; absent where that is impossible. For `dataSync`.
   *
   * @throws KernelError
   */
  readonly finish?: (() => void) | undefined;
  /** The generated source, for debugging and for error messages. */
  readonly source: () => string;
}

/**
 * One piece of work. Commands are immutable, and those of a captured plan are submitted again and again: a backend may
 * keep what it prepared for a command (an encoded call, a bind group) under the command's identity.
 */
export type Command = DispatchCommand | CopyCommand;

export interface DispatchCommand {
  readonly kind: 'dispatch';
  readonly program: Program;
  /** In the order of the program's buffer parameters. */
  readonly buffers: readonly DeviceBuffer[];
  readonly scalars: readonly number[];
}

/** Copies `bytes` from the start of one buffer to the start of another. */
export interface CopyCommand {
  readonly kind: 'copy';
  readonly source: DeviceBuffer;
  readonly target: DeviceBuffer;
  readonly bytes: number;
}

export interface Fence {
  /**
   * Completion of a submission and of all before it. Rejects when the device failed; a rejection that nobody looks at goes
   * unnoticed. May be made when it is first asked for.
   */
  readonly done: Promise<void>;
  /**
   * Present where the device is far behind: whoever submits in a loop waits for it before the next submission. Never
   * rejects.
   */
  readonly pace?: Promise<void> | undefined;
}

/** Figures of a device's memory, in bytes and counts. */
export interface DeviceMemory {
  /** Bytes and number of live buffers. */
  readonly bytes: number;
  readonly buffers: number;
  /** Bytes taken from the system, live or kept for reuse. */
  readonly reserved: number;
  /** Times that memory had to be taken from the system (not served from what was kept). */
  readonly allocations: number;
}

export interface Backend {
  readonly info: DeviceInfo;
  /** What the device failed with, or DisposedError: every call throws it. Opening the device again gives a new one. */
  readonly failure?: TuttiError | undefined;
  /** @throws OutOfMemoryError. Zero bytes are legal. */
  allocate(bytes: number): DeviceBuffer;
  /** Gives a buffer back. Work already submitted still sees it; its memory is reused only when that is safe. */
  free(buffer: DeviceBuffer): void;
  /** Writes bytes at an offset; ordered after everything submitted so far. The source may be changed when it returns. */
  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset?: number): void;
  /** Reads bytes as they are once everything submitted so far has run, whatever is submitted, written or freed after the call. */
  read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array>;
  /** As `read`, and blocks. Present where `capabilities.syncRead`. */
  readSync?(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array;
  /**
   * A new buffer with the first `bytes` of a buffer of another device, copied without the host; undefined where there is no way.
   * Ordered after everything submitted so far to either device. Absent where a backend's devices never have a way.
   *
   * @throws OutOfMemoryError
   */
  copyFrom?(source: Backend, buffer: DeviceBuffer, bytes: number): DeviceBuffer | undefined;
  compile(kernel: Kernel): Program;
  /**
   * A program that runs all parts of a joint kernel, or undefined: then each is compiled and run by itself. Present where
   * `capabilities.jointBuffers` is not 0.
   */
  joint?(kernel: JointKernel): Program | undefined;
  /**
   * A hand-tuned program for an anchor, or undefined: then the compiler asks again without the epilogue, and last
   * lowers the anchor's decomposition to a kernel.
   */
  routine(anchor: Anchor): Program | undefined;
  /** Runs commands in order, in one submission. All programs are ready. Never blocks on the device. */
  submit(commands: readonly Command[]): Fence;
  /**
   * Runs commands one by one and gives the milliseconds of each. Submits before it returns, as `submit` does. Present where
   * `capabilities.timing`.
   */
  time?(commands: readonly Command[]): Promise<readonly number[]>;
  memory(): DeviceMemory;
  /** Waits for nothing; releases everything, worker threads included. Later calls throw DisposedError, but for `free`. */
  dispose(): void;
}
