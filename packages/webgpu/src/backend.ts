import {
  type Anchor,
  type Backend,
  Buffers,
  type Command,
  type CopyCommand,
  checkBufferSize,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  type DispatchCommand,
  dtypeInfo,
  type Fence,
  foreignProgram,
  type Kernel,
  type Program,
  ProgramCache,
  Progress,
  printAnchor,
  printKernel,
  type SizePool,
  type TuttiError,
  Workspace,
} from '@tutti/core/backend';
import type { Candidates, ShaderFeatures, WgslProgram } from './program.ts';
import { Binder } from './runtime/bind.ts';
import type { Block, WebgpuBuffer } from './runtime/buffer.ts';
import type { GpuDevice } from './runtime/device.ts';
import { Encoder } from './runtime/encoder.ts';
import { Executable } from './runtime/executable.ts';
import { mergeWord, splitWords } from './runtime/patch.ts';
import { Pipelines } from './runtime/pipelines.ts';
import { bufferPool } from './runtime/pool.ts';
import { Readback } from './runtime/readback.ts';
import { type Encode, timeByFences, timeOnDevice } from './runtime/timing.ts';
import { Tuner } from './runtime/tuner.ts';
import { Uniforms } from './runtime/uniforms.ts';
import { writeWords } from './runtime/write.ts';
import type { Tuning } from './tuning.ts';

/** What turns kernels and anchors into WGSL. */
export interface Generators {
  compileKernel(kernel: Kernel, features: ShaderFeatures): WgslProgram;
  routine(anchor: Anchor, features: ShaderFeatures): WgslProgram | undefined;
  /** Where it is worth to choose among several: all of them. */
  candidates?(anchor: Anchor, features: ShaderFeatures): Candidates | undefined;
}

/** WGSL programs on a WebGPU device. */
export class WebgpuBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #device: GpuDevice;
  readonly #generators: Generators;
  readonly #pipelines: Pipelines;
  readonly #pool: SizePool<Block>;
  readonly #buffers: Buffers<Block>;
  readonly #workspace: Workspace<Block>;
  readonly #uniforms: Uniforms;
  readonly #binder: Binder;
  readonly #encoder: Encoder;
  readonly #readback: Readback;
  readonly #progress: Progress;
  readonly #programs = new ProgramCache<Executable>();
  readonly #tuner: Tuner | undefined;
  #merge: Executable | undefined;

  /** @param tuning Where choices among candidates are remembered; without it the first is taken. */
  constructor(device: GpuDevice, generators: Generators, tuning?: Tuning) {
    this.info = device.info;
    this.#device = device;
    this.#generators = generators;
    this.#pipelines = new Pipelines(device);
    const readback = new Readback(device);
    this.#readback = readback;
    const pool = bufferPool(device.limits.maxBufferSize, {
      create: (descriptor) =>
        device.watch('while memory was allocated', () => device.device.createBuffer(descriptor)),
      destroy: (gpu) => {
        readback.flush(); // a read that was asked for may be of it
        gpu.destroy();
      },
    });
    this.#pool = pool;
    this.#buffers = new Buffers({
      take: (bytes) => pool.takeBytes(bytes),
      release: (block) => pool.release(block),
    });
    this.#workspace = new Workspace(pool);
    this.#uniforms = new Uniforms(device);
    this.#binder = new Binder(device, this.#buffers, this.#workspace, this.#uniforms, (command) =>
      this.#executable(command),
    );
    this.#encoder = new Encoder(device, this.#uniforms);
    this.#progress = new Progress(() => device.queue.onSubmittedWorkDone().then(() => {}), device.health);
    if (tuning) this.#tuner = new Tuner(tuning, device.info.description, this);
    device.health.onFailure(() => this.#release());
  }

  get failure(): TuttiError | undefined {
    return this.#device.health.failure;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#device.health.check();
    this.#checkBytes(bytes);
    return this.#buffers.allocate(bytes);
  }

  /** @throws OutOfMemoryError */
  #checkBytes(bytes: number): void {
    const fix = 'split the tensor, or use a device with larger buffers';
    checkBufferSize(bytes, this.info.capabilities.bytesPerBuffer, fix);
  }

  free(buffer: DeviceBuffer): void {
    if (!this.failure) this.#buffers.free(buffer);
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#device.health.check();
    const own = this.#buffers.within(buffer, byteOffset, data.byteLength);
    if (data.byteLength === 0) return;
    this.#readback.flush();
    const { from, to, partial } = splitWords(byteOffset, byteOffset + data.byteLength, own.bytes);
    if (to > from)
      writeWords(
        this.#device,
        own.block.gpu,
        own.block.offset + from,
        data.subarray(from - byteOffset, to - byteOffset),
        to - from,
      );
    for (const { word, mask } of partial) {
      // The word as it will be, at the place within it where its bytes go.
      const bytes = new Uint8Array(4);
      const start = Math.max(word * 4, byteOffset);
      bytes.set(data.subarray(start - byteOffset, word * 4 + 4 - byteOffset), start - word * 4);
      this.#mergeWord(bytes, own, word, mask);
    }
  }

  read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    try {
      this.#device.health.check();
      const { block } = this.#buffers.within(buffer, byteOffset, bytes);
      return bytes === 0
        ? Promise.resolve(new Uint8Array(0))
        : this.#readback.read(block.gpu, block.offset + byteOffset, bytes);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  compile(kernel: Kernel): Program {
    const generate = (): WgslProgram => {
      // WGSL has no arrays of more than 4 GiB: that would be found before there is memory to allocate.
      for (const { dtype, length } of kernel.buffers) this.#checkBytes(length * dtypeInfo[dtype].bytes);
      return this.#generators.compileKernel(kernel, this.#device.shaderFeatures);
    };
    return this.#cached(printKernel(kernel), generate)!;
  }

  routine(anchor: Anchor): Program | undefined {
    const { shaderFeatures: features } = this.#device;
    const generate = (): WgslProgram | undefined => {
      const program = this.#generators.routine(anchor, features);
      return program && fits(program, features) ? program : undefined;
    };
    return this.#cached(printAnchor(anchor), generate, (usual) => this.#fastest(anchor, usual));
  }

  /** The fastest of the candidates for an anchor. */
  async #fastest(anchor: Anchor, usual: WgslProgram): Promise<WgslProgram> {
    const { shaderFeatures: features } = this.#device;
    const candidates = this.#generators.candidates?.(anchor, features);
    const fitting = candidates && [...candidates.variants].filter(([, program]) => fits(program, features));
    if (!candidates || !fitting || fitting.length < 2) return usual;
    const chosen = await this.#tuner!.choose({ ...candidates, variants: new Map(fitting) });
    this.#workspace.require(chosen.workspaceBytes);
    return chosen;
  }

  /** A buffer whose memory is a part of the user's: it is neither counted nor ever released here. */
  adopt(gpu: GPUBuffer, offset: number, bytes: number): DeviceBuffer {
    this.#device.health.check();
    return this.#buffers.borrow(bytes, { gpu, offset, bytes, number: undefined });
  }

  /** The memory of a buffer of this device. @throws DeviceError, DisposedError */
  memoryOf(buffer: DeviceBuffer): Block {
    this.#device.health.check();
    return this.#buffers.own(buffer).block;
  }

  /** Submits work that was not made of commands, after all that was submitted before. */
  perform<T>(doing: string, action: (device: GPUDevice) => T): T {
    this.#device.health.check();
    this.#readback.flush();
    return this.#device.watch(doing, () => action(this.#device.device));
  }

  /** A program that was generated elsewhere. `choose` may put another in its place before it is ready. */
  load(program: WgslProgram, choose?: (usual: WgslProgram) => Promise<WgslProgram>): Executable {
    this.#device.health.check();
    this.#workspace.require(program.workspaceBytes);
    return new Executable(program, this.#pipelines, this, 'later', choose && (() => choose(program)));
  }

  submit(commands: readonly Command[]): Fence {
    this.#device.health.check();
    this.#readback.flush();
    if (commands.length > 0) this.#encoding(() => this.#encodeAll(commands));
    return this.#progress.submitted(commands.length);
  }

  async time(commands: readonly Command[]): Promise<readonly number[]> {
    this.#device.health.check();
    if (commands.length === 0) return [];
    this.#readback.flush();
    for (const command of commands) if (command.kind === 'dispatch') this.#binder.bind(command);
    const encode: Encode<Command> = (command, timestamps) => this.#encode(command, timestamps);
    const times = this.#encoding(() =>
      this.#device.features.has('timestamp-query')
        ? timeOnDevice(commands, this.#device, this.#encoder, this.#readback, encode)
        : timeByFences(commands, this.#device, this.#encoder, encode),
    );
    this.#progress.submitted(commands.length);
    return this.#device.health.guard(times);
  }

  memory(): DeviceMemory {
    return {
      bytes: this.#buffers.bytes,
      buffers: this.#buffers.count,
      reserved: this.#pool.reserved + this.#readback.reserved + this.#uniforms.reserved,
      allocations: this.#pool.allocations,
    };
  }

  dispose(): void {
    this.#device.dispose();
  }

  /** Lets everything go that the device held. */
  #release(): void {
    this.#buffers.clear();
    this.#programs.clear();
    this.#binder.dispose();
    this.#readback.dispose();
    this.#pool.dispose();
    this.#uniforms.dispose();
  }

  #encoding<T>(action: () => T): T {
    try {
      return this.#device.watch('while commands were submitted', action);
    } catch (error) {
      this.#encoder.abandon();
      throw error;
    }
  }

  #encodeAll(commands: readonly Command[]): void {
    for (const command of commands) this.#encode(command);
    this.#encoder.submit();
  }

  #encode(command: Command, timestamps?: GPUComputePassTimestampWrites): void {
    if (command.kind === 'copy') this.#encodeCopy(command, timestamps);
    else this.#encoder.dispatch(this.#binder.bind(command), timestamps);
  }

  #encodeCopy({ source, target, bytes }: CopyCommand, timestamps?: GPUComputePassTimestampWrites): void {
    const from = this.#buffers.within(source, 0, bytes);
    const to = this.#buffers.within(target, 0, bytes);
    if (timestamps) {
      const { querySet, beginningOfPassWriteIndex: index } = timestamps;
      this.#encoder.timestamp({ querySet, beginningOfPassWriteIndex: index! });
    }
    const words = splitWords(0, bytes, to.bytes);
    if (from !== to) {
      if (words.to > 0) {
        const [a, b] = [from.block, to.block];
        this.#encoder.copy(a.gpu, a.offset, b.gpu, b.offset, words.to);
      }
      for (const { word, mask } of words.partial)
        this.#encode(this.#mergeCommand(from, word, to, word, mask));
    }
    if (timestamps) {
      const { querySet, endOfPassWriteIndex: index } = timestamps;
      this.#encoder.timestamp({ querySet, beginningOfPassWriteIndex: index! });
    }
  }

  #mergeWord(bytes: Uint8Array, target: WebgpuBuffer, word: number, mask: number): void {
    const source = this.#buffers.allocate(4);
    writeWords(this.#device, source.block.gpu, 0, bytes, 4);
    this.#encoding(() => this.#encodeAll([this.#mergeCommand(source, 0, target, word, mask)]));
    this.free(source);
  }

  #mergeCommand(
    source: WebgpuBuffer,
    sourceWord: number,
    target: WebgpuBuffer,
    word: number,
    mask: number,
  ): DispatchCommand {
    this.#merge ??= new Executable(mergeWord, this.#pipelines, this, 'now');
    return {
      kind: 'dispatch',
      program: this.#merge,
      buffers: [source, target],
      scalars: [sourceWord, word, mask],
    };
  }

  #cached(
    key: string,
    generate: () => WgslProgram | undefined,
    choose?: (usual: WgslProgram) => Promise<WgslProgram>,
  ): Program | undefined {
    this.#device.health.check();
    return this.#programs.get(key, () => {
      const generated = generate();
      return generated && this.load(generated, this.#tuner && choose);
    });
  }

  #executable({ program }: DispatchCommand): Executable {
    if (program instanceof Executable && program.owner === this) return program;
    throw foreignProgram(program);
  }
}

/** A workspace takes a place among the buffers of a stage, and `buffersPerKernel` leaves it none. */
const fits = ({ stages }: WgslProgram, { maxStorageBuffers }: ShaderFeatures): boolean =>
  stages.every(({ bindings }) => {
    const storage = bindings.filter(({ access }) => access !== 'uniform');
    return storage.length <= maxStorageBuffers;
  });
