import {
  type Anchor,
  type Backend,
  Buffers,
  type Command,
  checkBufferSize,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  type Fence,
  foreignProgram,
  type Kernel,
  type Program,
  ProgramCache,
  Progress,
  printAnchor,
  printKernel,
  scalarBits,
  type TuttiError,
} from '@tutti/core/backend';
import type { GlslProgram, ShaderFeatures } from './program.ts';
import type { GlContext } from './runtime/context.ts';
import { Executable } from './runtime/executable.ts';
import { Fences } from './runtime/fences.ts';
import { type Block, TexturePool, texelsOf } from './runtime/pool.ts';
import { mostPrograms, Programs } from './runtime/programs.ts';
import { Readback } from './runtime/readback.ts';
import { Runner } from './runtime/runner.ts';
import { Transfer } from './runtime/transfer.ts';

/** What turns kernels and anchors into GLSL. */
export interface Generators {
  compileKernel(kernel: Kernel, features: ShaderFeatures): GlslProgram;
  routine?(anchor: Anchor, features: ShaderFeatures): GlslProgram | undefined;
}

/** GLSL programs on a WebGL 2 context. */
export class WebglBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #context: GlContext;
  readonly #generators: Generators;
  readonly #fences: Fences;
  readonly #pool: TexturePool;
  readonly #buffers: Buffers<Block>;
  readonly #programs: Programs;
  readonly #transfer: Transfer;
  readonly #readback: Readback;
  readonly #runner: Runner;
  readonly #progress: Progress;
  readonly #executables = new ProgramCache<Executable>();

  /** @param programs Programs that the GPU holds at most. */
  constructor(context: GlContext, generators: Generators, programs: number = mostPrograms) {
    this.info = context.info;
    this.#context = context;
    this.#generators = generators;
    this.#fences = new Fences(context);
    const pool = new TexturePool(context.rowTexels, context);
    this.#pool = pool;
    this.#buffers = new Buffers({
      take: (bytes) => pool.takeTexels(texelsOf(bytes)),
      release: (block) => pool.release(block),
    });
    const { gl, quad, features } = context;
    const any = pool.takeTexels(1);
    const drawContext = { gl, quad, any, rowShift: features.rowShift };
    this.#programs = new Programs(context, drawContext, programs);
    this.#transfer = new Transfer(context, this.#pool, this.#programs);
    this.#readback = new Readback(context, this.#fences);
    this.#runner = new Runner(context, this.#pool, this.#programs, this.#transfer);
    this.#progress = new Progress(() => this.#fences.insert(), context.health);
    context.health.onFailure(() => this.#release());
  }

  get failure(): TuttiError | undefined {
    return this.#context.health.failure;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#context.enter();
    const fix = 'split the tensor, or use a device with larger buffers';
    checkBufferSize(bytes, this.info.capabilities.bytesPerBuffer, fix);
    return this.#buffers.allocate(bytes);
  }

  free(buffer: DeviceBuffer): void {
    if (!this.failure) this.#buffers.free(buffer);
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#context.enter();
    const own = this.#buffers.within(buffer, byteOffset, data.byteLength);
    if (data.byteLength > 0) this.#transfer.write(own.block, own.bytes, data, byteOffset);
  }

  read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    try {
      const block = this.#readable(buffer, byteOffset, bytes);
      return bytes === 0 ? Promise.resolve(new Uint8Array(0)) : this.#readback.read(block, byteOffset, bytes);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readSync(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array {
    const block = this.#readable(buffer, byteOffset, bytes);
    return bytes === 0 ? new Uint8Array(0) : this.#readback.readSync(block, byteOffset, bytes);
  }

  #readable(buffer: DeviceBuffer, byteOffset: number, bytes: number): Block {
    this.#context.enter();
    return this.#buffers.within(buffer, byteOffset, bytes).block;
  }

  compile(kernel: Kernel): Program {
    const generate = (): GlslProgram => this.#generators.compileKernel(kernel, this.#context.features);
    return this.#cached(printKernel(kernel), generate)!;
  }

  routine(anchor: Anchor): Program | undefined {
    return this.#cached(printAnchor(anchor), () =>
      this.#generators.routine?.(anchor, this.#context.features),
    );
  }

  /** A program that was generated elsewhere. */
  load(program: GlslProgram): Executable {
    this.#context.enter();
    return new Executable(program, this.#programs, this.#context.health, this);
  }

  /** The memory of a buffer of this device. @throws DeviceError, DisposedError */
  memoryOf(buffer: DeviceBuffer): Block {
    this.#context.enter();
    return this.#buffers.own(buffer).block;
  }

  /** Work that was not made of commands, after all that was submitted before. */
  perform<T>(action: (context: GlContext, programs: Programs) => T): T {
    this.#context.enter();
    return action(this.#context, this.#programs);
  }

  submit(commands: readonly Command[]): Fence {
    this.#context.enter();
    for (const command of commands) this.#run(command);
    if (commands.length > 0) this.#context.gl.flush();
    return this.#progress.submitted(commands.length);
  }

  /** By the host's clock, from the end of one command to the end of the next: fences are looked at about every millisecond. */
  async time(commands: readonly Command[]): Promise<readonly number[]> {
    this.#context.enter();
    const ends: Promise<number>[] = [];
    const note = (): void => {
      ends.push(this.#fences.insert().then(() => performance.now()));
    };
    note();
    for (const command of commands) {
      this.#run(command);
      note();
    }
    this.#progress.submitted(commands.length);
    const times = await this.#context.health.guard(Promise.all(ends));
    return commands.map((_, i) => times[i + 1]! - times[i]!);
  }

  memory(): DeviceMemory {
    return {
      bytes: this.#buffers.bytes,
      buffers: this.#buffers.count,
      reserved: this.#pool.reserved + this.#readback.reserved,
      allocations: this.#pool.allocations,
    };
  }

  /** Programs that the GPU holds. */
  get programs(): number {
    return this.#programs.count;
  }

  dispose(): void {
    this.#context.dispose();
  }

  /** Lets everything go that the device held. */
  #release(): void {
    this.#buffers.clear();
    this.#executables.clear();
    this.#pool.dispose();
  }

  #run(command: Command): void {
    if (command.kind === 'copy') {
      const { source, target, bytes } = command;
      const from = this.#buffers.within(source, 0, bytes);
      const to = this.#buffers.within(target, 0, bytes);
      if (from !== to && bytes > 0) this.#transfer.copy(from.block, to.block, bytes, to.bytes);
      return;
    }
    const { program, buffers, scalars } = command;
    const own = buffers.map((buffer) => this.#buffers.own(buffer));
    if (!(program instanceof Executable) || program.owner !== this) throw foreignProgram(program);
    const bits = scalarBits(program.glsl, scalars);
    // As integers, which is how shaders take them: a float uniform would lose -0 and NaN to gpu.js's caches.
    this.#runner.run(program, own, [...new Int32Array(bits.buffer)]);
  }

  #cached(key: string, generate: () => GlslProgram | undefined): Program | undefined {
    this.#context.enter();
    return this.#executables.get(key, () => {
      const generated = generate();
      return generated && this.load(generated);
    });
  }
}
