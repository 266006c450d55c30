/** Scalars of commands, on their way to the device. */
import type { GpuDevice } from './device.ts';

/** `UNIFORM | COPY_DST`: the names are globals in browsers only. */
const usage = 0x40 | 0x08;

/** Offsets of dynamic bindings are multiples of this on every device. */
const slotBytes = 256;
const slots = 1024;

/** Number of the buffer in keys of bind groups; those of blocks start at 1. */
const number = 0;

/**
 * One buffer for the scalars of all commands of a submission: writing one costs as much as encoding ten dispatches, so
 * there is one write for all. The next submission overwrites it; the queue keeps the order.
 */
export class Uniforms {
  readonly #device: GpuDevice;
  readonly #host = new Uint32Array((slots * slotBytes) / 4);
  #buffer: GPUBuffer | undefined;
  #used = 0;

  constructor(device: GpuDevice) {
    this.#device = device;
  }

  /** Bytes taken from the device. */
  get reserved(): number {
    return this.#buffer ? this.#host.byteLength : 0;
  }

  /** What a stage binds that reads `count` scalars: a window, to be moved by a dynamic offset. */
  binding(count: number): { readonly gpu: GPUBuffer; readonly bytes: number; readonly number: number } {
    this.#buffer ??= this.#device.device.createBuffer({
      label: 'scalars',
      size: this.#host.byteLength,
      usage,
    });
    return { gpu: this.#buffer, bytes: Math.ceil(count / 4) * 16, number };
  }

  /** Puts scalars aside and gives their offset; undefined when there is no room before the next `flush`. */
  add(scalars: Uint32Array): number | undefined {
    const end = this.#used + Math.ceil(scalars.byteLength / slotBytes) * slotBytes;
    if (end > this.#host.byteLength) return undefined;
    const offset = this.#used;
    this.#host.set(scalars, offset / 4);
    this.#used = end;
    return offset;
  }

  /** Sends what was added, ahead of the commands that read it. */
  flush(): void {
    if (this.#used === 0) return;
    this.#device.queue.writeBuffer(this.#buffer!, 0, this.#host, 0, this.#used / 4);
    this.#used = 0;
  }

  /** Forgets what was added. */
  clear(): void {
    this.#used = 0;
  }

  dispose(): void {
    this.#buffer?.destroy();
    this.#buffer = undefined;
  }
}
