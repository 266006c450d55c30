import {
  type Anchor,
  type Backend,
  type Command,
  checkBufferSize,
  checkRange,
  type DeviceBuffer,
  DeviceError,
  type DeviceInfo,
  type DeviceMemory,
  describeBytes,
  disposedDevice,
  type Fence,
  freedError,
  type Kernel,
  OutOfMemoryError,
  type Program,
  ProgramCache,
  printAnchor,
  printKernel,
  type TuttiError,
} from '@tutti/core/backend';
import { compileKernel } from './kernels/index.ts';
import type { WasmProgram } from './program.ts';
import { routine } from './routines/index.ts';
import { Allocator } from './runtime/allocator.ts';
import { CpuBuffer } from './runtime/buffer.ts';
import { type Encoded, Encoder } from './runtime/encode.ts';
import { clock } from './runtime/host.ts';
import { LinearMemory } from './runtime/linear-memory.ts';
import { Modules } from './runtime/modules.ts';
import { Queue } from './runtime/queue.ts';
import { Scratch } from './runtime/scratch.ts';

/**
 * Submissions whose estimated time on one thread is below this many nanoseconds run on the calling thread: waking a resting
 * worker takes longer than it saves.
 */
const inlineBelow = 60_000;
/**
 * Up to this many nanoseconds for each thread, the calling thread works too: one worker less has to be woken, and the end needs no
 * turn of the event loop. More would hold up a page.
 */
const sharedBelow = 1_000_000;

export interface CpuBackendSettings {
  readonly info: DeviceInfo;
  /** One means: no workers, everything on the calling thread. */
  readonly threads: number;
  /** Nanoseconds; see above. 0 for both sends everything to the workers. */
  readonly inlineBelow?: number;
  readonly sharedBelow?: number;
}

/** WebAssembly kernels over one linear memory, run by worker threads. */
export class CpuBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #memory: LinearMemory;
  readonly #allocator: Allocator;
  readonly #modules: Modules;
  readonly #encoder: Encoder;
  readonly #queue: Queue;
  readonly #programs = new ProgramCache<WasmProgram>();
  #bytes = 0;
  #buffers = 0;
  #disposed = false;

  constructor(settings: CpuBackendSettings) {
    this.info = settings.info;
    const { threads } = settings;
    const memory = new LinearMemory(threads > 1);
    this.#memory = memory;
    this.#allocator = new Allocator(memory.size, {
      grow: (bytes) => (memory.grow(bytes) ? memory.size : 0),
      completed: () => this.#queue?.completed ?? 0,
      wait: () => this.#queue?.waitFor(this.#queue.submitted),
    });
    this.#modules = new Modules(memory);
    this.#encoder = new Encoder(memory, this.#allocator, this.#modules, threads, () => this.#queue.submitted);
    const scratch = new Scratch(this.#allocator, threads);
    const limits = {
      inline: settings.inlineBelow ?? inlineBelow,
      shared: threads * (settings.sharedBelow ?? sharedBelow),
    };
    this.#queue = new Queue(this.#modules, scratch, memory.memory, threads, limits);
  }

  get failure(): TuttiError | undefined {
    return this.#disposed ? disposedDevice('cpu') : this.#queue.failure;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#alive();
    const fix = 'split the tensor, or use a device with more memory';
    checkBufferSize(bytes, this.info.capabilities.bytesPerBuffer, fix);
    const block = this.#allocator.allocate(bytes);
    if (!block) throw this.#outOfMemory(bytes);
    this.#bytes += bytes;
    this.#buffers++;
    return new CpuBuffer(bytes, block, this);
  }

  free(buffer: DeviceBuffer): void {
    if (this.#disposed) return;
    const own = this.#own(buffer);
    own.freed = true;
    this.#bytes -= own.bytes;
    this.#buffers--;
    this.#allocator.release(own.block, own.lastUse);
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#alive();
    const own = this.#own(buffer);
    checkRange(own, byteOffset, data.byteLength);
    if (data.byteLength === 0) return;
    const address = own.address + byteOffset;
    const { completed, submitted } = this.#queue;
    if (Math.min(own.lastUse, submitted) <= completed) {
      this.#memory.bytes.set(data, address);
      return;
    }
    // Queued work still uses this memory. The bytes are put aside, and copied when their turn comes.
    const staging = this.#allocator.allocate(data.byteLength, true);
    if (!staging) throw this.#outOfMemory(data.byteLength);
    this.#memory.bytes.set(data, staging.address);
    const serial = submitted + 1;
    const copy = this.#encoder.encodeCopy(staging.address, address, data.byteLength, serial, completed);
    this.#allocator.release(staging, serial);
    own.lastUse = serial;
    this.#queue.submit([copy], copy.cost);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    this.#alive();
    const own = this.#own(buffer);
    checkRange(own, byteOffset, bytes);
    const { completed, submitted } = this.#queue;
    const address = own.address + byteOffset;
    if (bytes === 0 || Math.min(own.lastUse, submitted) <= completed) return this.#take(address, bytes);
    // What comes later may write to this memory before the reader gets it: the bytes are put aside when their turn comes.
    const staging = this.#allocator.allocate(bytes);
    if (!staging) throw this.#outOfMemory(bytes);
    const serial = submitted + 1;
    const copy = this.#encoder.encodeCopy(address, staging.address, bytes, serial, completed);
    own.lastUse = serial;
    this.#queue.submit([copy], copy.cost);
    try {
      await this.#queue.reached(serial);
      return this.#take(staging.address, bytes);
    } finally {
      if (!this.#disposed) this.#allocator.release(staging, serial);
    }
  }

  readSync(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array {
    this.#alive();
    const own = this.#own(buffer);
    checkRange(own, byteOffset, bytes);
    this.#queue.waitFor(Math.min(own.lastUse, this.#queue.submitted));
    return this.#take(own.address + byteOffset, bytes);
  }

  compile(kernel: Kernel): Program {
    this.#alive();
    return this.#programs.get(printKernel(kernel), () => compileKernel(kernel))!;
  }

  routine(anchor: Anchor): Program | undefined {
    this.#alive();
    return this.#programs.get(printAnchor(anchor), () => routine(anchor));
  }

  submit(commands: readonly Command[]): Fence {
    this.#alive();
    const { list, cost } = this.#encode(commands);
    return this.#queue.submit(list, cost);
  }

  /** Submits before it returns, as `submit` does; each command is waited for, so that it is timed alone. */
  async time(commands: readonly Command[]): Promise<readonly number[]> {
    this.#alive();
    this.#queue.waitFor(this.#queue.submitted);
    return commands.map((command) => {
      const { list } = this.#encode([command]);
      const start = clock();
      this.#queue.submit(list, Number.POSITIVE_INFINITY);
      this.#queue.waitFor(this.#queue.submitted);
      return clock() - start;
    });
  }

  memory(): DeviceMemory {
    return {
      bytes: this.#bytes,
      buffers: this.#buffers,
      reserved: this.#disposed ? 0 : this.#memory.size,
      allocations: this.#memory.growths,
    };
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#bytes = 0;
    this.#buffers = 0;
    this.#programs.clear();
    this.#queue.dispose();
  }

  #encode(commands: readonly Command[]): { list: Encoded[]; cost: number } {
    const { completed, submitted } = this.#queue;
    const list: Encoded[] = [];
    let cost = 0;
    for (const command of commands) {
      const encoded = this.#encoder.encode(command, submitted + 1, completed, this);
      cost += encoded.cost;
      list.push(encoded);
    }
    return { list, cost };
  }

  #take(address: number, bytes: number): Uint8Array {
    return this.#memory.bytes.slice(address, address + bytes);
  }

  #alive(): void {
    const { failure } = this;
    if (failure) throw failure;
  }

  #own(buffer: DeviceBuffer): CpuBuffer {
    if (!(buffer instanceof CpuBuffer) || buffer.owner !== this) {
      throw new DeviceError('the buffer belongs to another device');
    }
    if (buffer.freed) throw freedError();
    return buffer;
  }

  #outOfMemory(bytes: number): OutOfMemoryError {
    const { limit, size } = this.#memory;
    return new OutOfMemoryError(
      `${describeBytes(bytes)} were asked for; ${describeBytes(this.#bytes)} are in use by ${this.#buffers} buffers, ` +
        `${describeBytes(size)} of at most ${describeBytes(limit)} are reserved`,
      {
        received: bytes,
        fix: 'free tensors (scope, dispose), use smaller batches, or a device with more memory',
      },
    );
  }
}
