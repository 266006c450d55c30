/** Bringing bytes back to the host. */
import type { GpuDevice } from './device.ts';

/** `MAP_READ | COPY_DST`, and `GPUMapMode.READ`: the names are globals in browsers only. */
const usage = 0x01 | 0x08;
const mapRead = 1;

/** Staging buffers up to this size are kept, and so many bytes of them together. */
const keptBytes = 32 * 1024 * 1024;
/** Reads are put together in one staging buffer up to this size. */
const mostTogether = 1024 * 1024;

const reading = 'while a value was read';

interface Staging {
  readonly gpu: GPUBuffer;
  readonly bytes: number;
}

interface Request {
  readonly source: GPUBuffer;
  /** Where the copy begins, and how much is copied: multiples of 4 around what was asked for. */
  readonly from: number;
  readonly copied: number;
  /** What was asked for, within the copy. */
  readonly skip: number;
  readonly bytes: number;
  readonly deliver: (bytes: Uint8Array) => void;
  readonly refuse: (error: unknown) => void;
}

/**
 * Reads through a ring of staging buffers. Several may be under way, and those that are asked for in one go (the flags of
 * a step, its loss and its norm) share a copy and a mapping: every mapping is a round trip to the device.
 */
export class Readback {
  readonly #device: GpuDevice;
  readonly #kept: Staging[] = [];
  #requests: Request[] = [];

  constructor(device: GpuDevice) {
    this.#device = device;
  }

  /** The value at the time of the call; `flush` comes before anything that may change it. */
  read(source: GPUBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    const from = byteOffset - (byteOffset % 4);
    const skip = byteOffset - from;
    const copied = Math.ceil((skip + bytes) / 4) * 4;
    if (this.#requests.length === 0) queueMicrotask(() => this.flush());
    const read = new Promise<Uint8Array>((deliver, refuse) => {
      this.#requests.push({ source, from, copied, skip, bytes, deliver, refuse });
    });
    return this.#device.health.guard(read);
  }

  /** Submits the copies of all reads that were asked for. */
  flush(): void {
    if (this.#requests.length === 0) return;
    const requests = this.#requests;
    this.#requests = [];
    let first = 0;
    let bytes = 0;
    for (const [i, { copied }] of requests.entries()) {
      if (i > first && bytes + copied > mostTogether) {
        void this.#fetch(requests.slice(first, i), bytes);
        [first, bytes] = [i, 0];
      }
      bytes += copied;
    }
    void this.#fetch(requests.slice(first), bytes);
  }

  async #fetch(requests: readonly Request[], bytes: number): Promise<void> {
    try {
      const staging = this.#take(bytes);
      this.#copy(requests, staging.gpu);
      await this.#device.watch(reading, () => staging.gpu.mapAsync(mapRead, 0, bytes));
      const mapped = new Uint8Array(staging.gpu.getMappedRange(0, bytes));
      let at = 0;
      const results = requests.map(({ skip, bytes: wanted, copied }) => {
        const from = at + skip;
        at += copied;
        return mapped.slice(from, from + wanted);
      });
      staging.gpu.unmap();
      this.#release(staging);
      for (const [i, request] of requests.entries()) request.deliver(results[i]!);
    } catch (error) {
      const failure = await this.#reason(error);
      for (const request of requests) request.refuse(failure);
    }
  }

  #copy(requests: readonly Request[], target: GPUBuffer): void {
    this.#device.watch(reading, () => {
      const encoder = this.#device.device.createCommandEncoder();
      let at = 0;
      for (const { source, from, copied } of requests) {
        encoder.copyBufferToBuffer(source, from, target, at, copied);
        at += copied;
      }
      this.#device.queue.submit([encoder.finish()]);
    });
  }

  /** A mapping ends with a bare error when the device is lost; the reason arrives a little later. */
  async #reason(error: unknown): Promise<unknown> {
    for (let turn = 0; turn < 10 && !this.#device.health.failure; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return this.#device.health.failure ?? error;
  }

  #take(bytes: number): Staging {
    const fits = this.#kept.findIndex(
      (staging) => staging.bytes >= bytes && staging.bytes <= bytes * 4 + 4096,
    );
    if (fits >= 0) return this.#kept.splice(fits, 1)[0]!;
    const size = bytes <= 4096 ? 4096 : 2 ** Math.ceil(Math.log2(bytes));
    const clamped = Math.min(size, this.#device.limits.maxBufferSize);
    const descriptor = { label: 'readback', size: clamped, usage };
    const gpu = this.#device.watch(reading, () => this.#device.device.createBuffer(descriptor));
    return { gpu, bytes: clamped };
  }

  #release(staging: Staging): void {
    if (this.#device.health.failure) {
      staging.gpu.destroy();
      return;
    }
    this.#kept.push(staging);
    let sum = 0;
    for (const each of this.#kept) sum += each.bytes;
    while (sum > keptBytes) {
      const oldest = this.#kept.shift()!;
      oldest.gpu.destroy();
      sum -= oldest.bytes;
    }
  }

  /** Bytes of staging buffers that are kept. */
  get reserved(): number {
    return this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  dispose(): void {
    for (const { gpu } of this.#kept.splice(0)) gpu.destroy();
    this.#requests = [];
  }
}
