import {
  type Anchor,
  type Backend,
  type BackendFactory,
  type BufferParam,
  Buffers,
  type Capabilities,
  type Command,
  checkBufferSize,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  DisposedError,
  type DType,
  defaultCapabilities,
  dtypeInfo,
  type Fence,
  InternalError,
  type JointKernel,
  type Kernel,
  type OwnedBuffer,
  type Program,
  printJoint,
  printKernel,
} from '../backend/index.ts';
import { type BufferContents, interpretJoint, interpretKernel } from './interpret.ts';

/** What a test backend remembers of its work. */
export interface Recording {
  readonly kernels: Kernel[];
  readonly commands: Command[];
}

export interface InterpreterOptions {
  readonly name?: string;
  readonly priority?: number;
  /** What its description says of it. Default true: it is passed over in the automatic choice where there is another. */
  readonly emulated?: boolean;
  readonly capabilities?: Partial<Capabilities>;
  /** False: kernels are recorded and not run; what they would write keeps the poison of fresh buffers. */
  readonly execute?: boolean;
  readonly recording?: Recording;
  /** A routine for anchors; without one they are decomposed. */
  readonly routine?: (anchor: Anchor) => Program | undefined;
}

interface InterpretedProgram extends Program {
  readonly kernel: Kernel | JointKernel;
}

const buffersOf = (kernel: Kernel | JointKernel): readonly BufferParam[] =>
  kernel.kind === 'joint' ? kernel.parts.flatMap(() => kernel.body.buffers) : kernel.buffers;

/** Runs kernels with the reference interpreter, or only records them: everything above a backend can be tested with it. */
class InterpreterBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #options: InterpreterOptions;
  readonly #buffers: Buffers<ArrayBuffer>;
  #allocations = 0;
  #disposed = false;

  constructor(info: DeviceInfo, options: InterpreterOptions) {
    this.info = info;
    this.#options = options;
    this.#buffers = new Buffers({ take: (bytes) => this.#take(bytes), release: () => {} });
  }

  /** Poisoned, so that reading the unwritten shows; in whole words, so that every element type can view it. */
  #take(bytes: number): ArrayBuffer {
    checkBufferSize(bytes, this.info.capabilities.bytesPerBuffer, 'use another device');
    this.#allocations++;
    const memory = new ArrayBuffer(Math.ceil(bytes / 4) * 4);
    new Uint8Array(memory).fill(this.#options.execute === false ? 0 : 0xa5);
    return memory;
  }

  get failure(): DisposedError | undefined {
    return this.#disposed ? new DisposedError('this device has been disposed') : undefined;
  }

  #check(): void {
    if (this.failure) throw this.failure;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    return this.#buffers.allocate(bytes);
  }

  free(buffer: DeviceBuffer): void {
    if (!this.#disposed) this.#buffers.free(buffer);
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#check();
    const { block } = this.#buffers.within(buffer, byteOffset, data.length);
    new Uint8Array(block).set(data, byteOffset);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    return this.readSync(buffer, byteOffset, bytes);
  }

  readSync(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array {
    this.#check();
    const { block } = this.#buffers.within(buffer, byteOffset, bytes);
    return new Uint8Array(block).slice(byteOffset, byteOffset + bytes);
  }

  compile(kernel: Kernel): Program {
    this.#options.recording?.kernels.push(kernel);
    const program: InterpretedProgram = { name: kernel.name, kernel, source: () => printKernel(kernel) };
    return program;
  }

  joint(kernel: JointKernel): Program {
    const program: InterpretedProgram = { name: kernel.name, kernel, source: () => printJoint(kernel) };
    return program;
  }

  routine(anchor: Anchor): Program | undefined {
    return this.#options.routine?.(anchor);
  }

  submit(commands: readonly Command[]): Fence {
    this.#check();
    for (const command of commands) {
      this.#options.recording?.commands.push(command);
      if (command.kind === 'copy') this.#copy(command.source, command.target, command.bytes);
      else this.#run(command);
    }
    return { done: Promise.resolve() };
  }

  #copy(source: DeviceBuffer, target: DeviceBuffer, bytes: number): void {
    const [from, to] = [source, target].map((buffer) => this.#buffers.within(buffer, 0, bytes).block);
    new Uint8Array(to!).set(new Uint8Array(from!, 0, bytes));
  }

  #run(command: Extract<Command, { kind: 'dispatch' }>): void {
    const bound = command.buffers.map((buffer) => this.#buffers.own(buffer));
    if (this.#options.execute === false) return;
    const { kernel } = command.program as InterpretedProgram;
    const buffers = buffersOf(kernel);
    const written = buffers.flatMap(({ access }, i) => (access === 'read' ? [] : [command.buffers[i]]));
    const aliased = written.some((buffer) => command.buffers.filter((other) => other === buffer).length > 1);
    if (aliased) throw new InternalError(`kernel ${kernel.name}: a buffer that is written is bound twice`);
    const contents = buffers.map(({ dtype }, i) => view(dtype, bound[i]!));
    if (kernel.kind === 'joint') interpretJoint(kernel, contents, command.scalars);
    else interpretKernel(kernel, contents, command.scalars);
  }

  memory(): DeviceMemory {
    const { bytes, count } = this.#buffers;
    return { bytes, buffers: count, reserved: bytes, allocations: this.#allocations };
  }

  dispose(): void {
    this.#disposed = true;
    this.#buffers.clear();
  }
}

function view(dtype: DType, { block, bytes }: OwnedBuffer<ArrayBuffer>): BufferContents {
  const size = dtypeInfo[dtype].bytes;
  const length = Math.floor(bytes / size);
  if (size === 2) return new Uint16Array(block, 0, length);
  if (size === 1) return new Uint8Array(block, 0, length);
  if (dtype === 'int32') return new Int32Array(block, 0, length);
  return dtype === 'uint32' ? new Uint32Array(block, 0, length) : new Float32Array(block, 0, length);
}

/** A backend of one device, in plain JavaScript: slow, exact, and everywhere. */
export function interpreterBackend(options: InterpreterOptions = {}): BackendFactory {
  const capabilities: Capabilities = { ...defaultCapabilities, syncRead: true, ...options.capabilities };
  const description =
    options.execute === false ? 'records kernels and runs nothing' : 'reference interpreter of the kernel IR';
  const info: DeviceInfo = { description, emulated: options.emulated ?? true, capabilities };
  return {
    name: options.name ?? 'interpreter',
    priority: options.priority ?? -1,
    probe: async () => ({ available: true, devices: [info] }),
    open: async () => new InterpreterBackend(info, options),
  };
}
