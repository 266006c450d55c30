/** A device that is open: the driver's side of it, what is known of it, and whether it still works. */
import {
  type DeviceInfo,
  disposedDevice,
  Health,
  OutOfMemoryError,
  type TuttiError,
} from '@tutti/core/backend';
import type { KernelCompiler } from '../compiler/compile.ts';
import type { NativeDevice } from '../native/binding.ts';
import type { CudaFeatures } from '../program.ts';
import { failureOf } from './failures.ts';

export interface CudaDeviceOptions {
  /** Of the device, for messages: `cuda:1`. */
  readonly name: string;
  readonly info: DeviceInfo;
  readonly features: CudaFeatures;
  readonly native: NativeDevice;
  readonly compiler: KernelCompiler;
  /** Command lists that come again become graphs. */
  readonly graphs: boolean;
  /** Bytes that may be reserved on the device. */
  readonly memoryLimit: number | undefined;
}

export class CudaDevice {
  readonly name: string;
  readonly info: DeviceInfo;
  readonly features: CudaFeatures;
  readonly compiler: KernelCompiler;
  readonly graphs: boolean;
  readonly memoryLimit: number | undefined;
  readonly health: Health = new Health();
  /** Gives back memory that is kept for reuse. */
  reclaim: () => void = () => {};
  readonly #native: NativeDevice;

  constructor({ name, info, features, native, compiler, graphs, memoryLimit }: CudaDeviceOptions) {
    this.name = name;
    this.info = info;
    this.features = features;
    this.compiler = compiler;
    this.graphs = graphs;
    this.memoryLimit = memoryLimit;
    this.#native = native;
  }

  /** Calls the driver. @throws what the device has failed with, or what this fails with. */
  call<T>(doing: string, action: (native: NativeDevice) => T): T {
    this.health.check();
    try {
      return action(this.#native);
    } catch (error) {
      throw this.failed(error, doing);
    }
  }

  /** As {@link call}, and once more where there was no memory for it. For what does nothing when it fails. */
  callWithMemory<T>(doing: string, action: (native: NativeDevice) => T): T {
    try {
      return this.call(doing, action);
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
    }
    this.reclaim();
    return this.call(doing, action);
  }

  /** Copies from memory of another device. @throws what either has failed with */
  copyFrom(other: CudaDevice, address: number, otherAddress: number, bytes: number): void {
    other.health.check();
    this.call('while a value came from another device', (native) =>
      native.copyFrom(other.#native, address, otherAddress, bytes),
    );
  }

  /** As {@link call}, for what takes time. */
  wait<T>(doing: string, action: (native: NativeDevice) => Promise<T>): Promise<T> {
    const settled = this.call(doing, action).catch((error: unknown) => {
      throw this.failed(error, doing);
    });
    return this.health.guard(settled);
  }

  /** What an error of the driver means. One that nothing works after ends the device. */
  failed(error: unknown, doing: string): TuttiError {
    const known = this.health.failure;
    if (known) return known;
    const failure = failureOf(error, doing, this.name);
    if (failure.fatal) {
      this.health.fail(failure.error);
      this.#native.close();
    }
    return failure.error;
  }

  /** Whoever holds something of the device lets it go when `health` fails, and the device then releases the rest. */
  dispose(): void {
    if (this.health.failure) return;
    this.health.fail(disposedDevice(this.name));
    this.#native.close();
  }
}
