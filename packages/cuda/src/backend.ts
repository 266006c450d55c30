import {
  type Anchor,
  type Backend,
  Buffers,
  type Command,
  checkBufferSize,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  type DispatchCommand,
  dtypeInfo,
  type Fence,
  foreignProgram,
  type JointKernel,
  type Kernel,
  OutOfMemoryError,
  type Program,
  ProgramCache,
  Progress,
  printAnchor,
  printJoint,
  printKernel,
  type SizePool,
  type TuttiError,
  Workspace,
} from '@tutti/core/backend';
import type { CompilationFigures } from './compiler/compile.ts';
import type { FunctionInfo, NativeStatistics } from './native/binding.ts';
import type { CudaFeatures, CudaProgram } from './program.ts';
import type { Block } from './runtime/buffer.ts';
import { Clock } from './runtime/clock.ts';
import { mostElements } from './runtime/description.ts';
import type { CudaDevice } from './runtime/device.ts';
import { type Encoded, Encoder } from './runtime/encode.ts';
import { Executable } from './runtime/executable.ts';
import { devicePool } from './runtime/memory.ts';
import { Modules } from './runtime/modules.ts';
import { Products } from './runtime/products.ts';
import { Submission } from './runtime/submission.ts';

/** What turns kernels and anchors into CUDA C. */
export interface Generators {
  compileKernel(kernel: Kernel, features: CudaFeatures): CudaProgram;
  compileJoint(kernel: JointKernel, features: CudaFeatures): CudaProgram;
  routine(anchor: Anchor, features: CudaFeatures): CudaProgram | undefined;
}

/** CUDA C programs on a device of the driver. */
export class CudaBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #device: CudaDevice;
  readonly #generators: Generators;
  readonly #modules: Modules;
  readonly #products: Products;
  readonly #pool: SizePool<Block>;
  readonly #buffers: Buffers<Block>;
  readonly #workspace: Workspace<Block>;
  readonly #submission: Submission;
  readonly #progress: Progress;
  readonly #clock = new Clock();
  readonly #programs = new ProgramCache<Executable>();

  constructor(device: CudaDevice, generators: Generators) {
    this.info = device.info;
    this.#device = device;
    this.#generators = generators;
    this.#modules = new Modules(device);
    this.#products = new Products(device);
    this.#progress = new Progress(() => this.#passing(), device.health);
    const pool = devicePool(device, this.#clock);
    this.#pool = pool;
    this.#buffers = new Buffers({
      take: (bytes) => pool.takeBytes(bytes),
      release: (block) => pool.release(block),
    });
    this.#workspace = new Workspace(pool);
    const encoder = new Encoder(this.#workspace, this.#buffers, (command) => this.#executable(command));
    this.#submission = new Submission(device, encoder);
    device.reclaim = () => pool.shrink();
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
    checkBufferSize(bytes, this.info.capabilities.bytesPerBuffer, 'split the tensor');
  }

  free(buffer: DeviceBuffer): void {
    if (!this.failure) this.#buffers.free(buffer);
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#device.health.check();
    const { block } = this.#buffers.within(buffer, byteOffset, data.byteLength);
    if (data.byteLength === 0) return;
    // What nothing under way touches is written beside the work.
    const idle = block.lastUse <= this.#clock.passed;
    if (!idle) block.lastUse = this.#clock.tick();
    this.#device.call('while data was written', (native) =>
      native.write(block.address + byteOffset, data, idle),
    );
  }

  read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    try {
      this.#device.health.check();
      const { block } = this.#buffers.within(buffer, byteOffset, bytes);
      if (bytes === 0) return Promise.resolve(new Uint8Array(0));
      const time = this.#clock.tick();
      block.lastUse = time;
      const read = this.#device.wait(reading, (native) => native.read(block.address + byteOffset, bytes));
      return read.then((result) => {
        this.#clock.note(time);
        return result;
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  readSync(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array {
    this.#device.health.check();
    const { block } = this.#buffers.within(buffer, byteOffset, bytes);
    if (bytes === 0) return new Uint8Array(0);
    const result = this.#device.call(reading, (native) => native.readSync(block.address + byteOffset, bytes));
    this.#clock.note(this.#clock.now);
    return result;
  }

  copyFrom(source: Backend, buffer: DeviceBuffer, bytes: number): DeviceBuffer | undefined {
    if (!(source instanceof CudaBackend)) return undefined;
    const from = source.#buffers.within(buffer, 0, bytes).block;
    const copy = this.allocate(bytes);
    try {
      const to = this.#buffers.within(copy, 0, bytes).block;
      this.#device.copyFrom(source.#device, to.address, from.address, bytes);
      for (const [block, clock] of [
        [from, source.#clock],
        [to, this.#clock],
      ] as const)
        block.lastUse = clock.tick();
    } catch (error) {
      this.free(copy);
      throw error;
    }
    return copy;
  }

  compile(kernel: Kernel): Program {
    const generate = (): CudaProgram => {
      for (const { dtype, length } of kernel.buffers) {
        this.#checkBytes(length * dtypeInfo[dtype].bytes);
        checkElements(length);
      }
      return this.#generators.compileKernel(kernel, this.#device.features);
    };
    return this.#cached(printKernel(kernel), generate)!;
  }

  joint(kernel: JointKernel): Program {
    return this.#cached(printJoint(kernel), () =>
      this.#generators.compileJoint(kernel, this.#device.features),
    )!;
  }

  routine(anchor: Anchor): Program | undefined {
    const generate = (): CudaProgram | undefined => {
      for (const { length } of anchor.buffers) checkElements(length);
      const program = this.#generators.routine(anchor, this.#device.features);
      return program && program.workspaceBytes <= this.info.capabilities.bytesPerBuffer ? program : undefined;
    };
    return this.#cached(printAnchor(anchor), generate);
  }

  /** A program that was generated elsewhere. */
  load(program: CudaProgram): Executable {
    this.#device.health.check();
    this.#workspace.require(Math.max(program.workspaceBytes, program.otherwise?.workspaceBytes ?? 0));
    return new Executable(program, this.#modules, this.#products, this);
  }

  submit(commands: readonly Command[]): Fence {
    this.#device.health.check();
    this.#submission.submit(commands, this.#touch);
    return this.#progress.submitted(commands.length);
  }

  async time(commands: readonly Command[]): Promise<readonly number[]> {
    this.#device.health.check();
    if (commands.length === 0) return [];
    const times = this.#submission.time(commands, this.#touch);
    this.#progress.submitted(commands.length);
    return [...(await times)];
  }

  memory(): DeviceMemory {
    return {
      bytes: this.#buffers.bytes,
      buffers: this.#buffers.count,
      reserved: this.#pool.reserved,
      allocations: this.#pool.allocations,
    };
  }

  /** Figures of the driver's side, for tests and reports. */
  get statistics(): NativeStatistics {
    return this.#device.call('while figures were read', (native) => native.statistics());
  }

  /** What has been compiled so far, for tests and reports. */
  get compilation(): CompilationFigures {
    return this.#device.compiler.figures;
  }

  /** Registers, spills and shared memory of each kernel of a program that is ready. */
  resources(program: Executable): readonly FunctionInfo[] {
    return program.functions.map((fn) =>
      this.#device.call('while figures were read', (native) => native.functionInfo(fn)),
    );
  }

  dispose(): void {
    this.#device.dispose();
  }

  /** Lets everything go that the device held, when it has failed or was disposed. */
  #release(): void {
    this.#buffers.clear();
    this.#programs.clear();
    this.#modules.dispose();
    this.#products.dispose();
    this.#pool.dispose();
  }

  /** Settles when everything that has been asked for by now has run. */
  async #passing(): Promise<void> {
    const { now } = this.#clock;
    await this.#device.wait('while work was done', (native) => native.passed());
    this.#clock.note(now);
  }

  readonly #touch = (all: readonly Encoded[]): void => {
    const time = this.#clock.tick();
    for (const { buffers, workspace } of all) {
      for (const { block } of buffers) block.lastUse = time;
      if (workspace) workspace.lastUse = time; // it may become the memory of a buffer later
    }
  };

  #cached(key: string, generate: () => CudaProgram | undefined): Program | undefined {
    this.#device.health.check();
    return this.#programs.get(key, () => {
      const generated = generate();
      return generated && this.load(generated);
    });
  }

  #executable({ program }: DispatchCommand): Executable {
    if (program instanceof Executable && program.owner === this) return program;
    throw foreignProgram(program);
  }
}

const reading = 'while a value was read';

/** Indices of kernels have 31 bits. @throws OutOfMemoryError */
function checkElements(length: number): void {
  if (length <= mostElements) return;
  throw new OutOfMemoryError(
    `a tensor of ${length} elements is not possible; this device takes up to ${mostElements}`,
    { received: length, fix: 'split the tensor' },
  );
}
