import {
  type Anchor,
  type Backend,
  type BackendFactory,
  type Capabilities,
  type Command,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  DisposedError,
  defaultCapabilities,
  dtypeInfo,
  type Fence,
  InternalError,
  type Kernel,
  type Program,
  printKernel,
} from '../backend/index.ts';
import { type BufferContents, interpretKernel } from './interpret.ts';

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

class HostBuffer implements DeviceBuffer {
  readonly bytes: number;
  readonly memory: ArrayBuffer;

  constructor(bytes: number, filler: number) {
    this.bytes = bytes;
    // Rounded up, so that every element type can view it.
    this.memory = new ArrayBuffer(Math.ceil(bytes / 4) * 4);
    new Uint8Array(this.memory).fill(filler);
  }
}

interface InterpretedProgram extends Program {
  readonly kernel: Kernel;
}

/** Runs kernels with the reference interpreter, or only records them: everything above a backend can be tested with it. */
class InterpreterBackend implements Backend {
  readonly info: DeviceInfo;
  readonly #options: InterpreterOptions;
  readonly #live = new Set<HostBuffer>();
  #allocations = 0;
  #disposed = false;

  constructor(info: DeviceInfo, options: InterpreterOptions) {
    this.info = info;
    this.#options = options;
  }

  get failure(): DisposedError | undefined {
    return this.#disposed ? new DisposedError('this device has been disposed') : undefined;
  }

  #check(): void {
    if (this.failure) throw this.failure;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    // Poisoned, so that reading the unwritten shows.
    const buffer = new HostBuffer(bytes, this.#options.execute === false ? 0 : 0xa5);
    this.#live.add(buffer);
    this.#allocations++;
    return buffer;
  }

  #memoryOf(buffer: DeviceBuffer): ArrayBuffer {
    if (!this.#live.has(buffer as HostBuffer)) throw new InternalError('a buffer is used that is not live');
    return (buffer as HostBuffer).memory;
  }

  free(buffer: DeviceBuffer): void {
    if (this.#disposed) return;
    if (!this.#live.delete(buffer as HostBuffer))
      throw new InternalError('a buffer is freed that is not live');
  }

  write(buffer: DeviceBuffer, data: Uint8Array, byteOffset = 0): void {
    this.#check();
    new Uint8Array(this.#memoryOf(buffer)).set(data, byteOffset);
  }

  async read(buffer: DeviceBuffer, byteOffset: number, bytes: number): Promise<Uint8Array> {
    return this.readSync(buffer, byteOffset, bytes);
  }

  readSync(buffer: DeviceBuffer, byteOffset: number, bytes: number): Uint8Array {
    this.#check();
    return new Uint8Array(this.#memoryOf(buffer)).slice(byteOffset, byteOffset + bytes);
  }

  compile(kernel: Kernel): Program {
    this.#options.recording?.kernels.push(kernel);
    const program: InterpretedProgram = { name: kernel.name, kernel, source: () => printKernel(kernel) };
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
    new Uint8Array(this.#memoryOf(target)).set(new Uint8Array(this.#memoryOf(source), 0, bytes));
  }

  #run(command: Extract<Command, { kind: 'dispatch' }>): void {
    const memories = command.buffers.map((buffer) => this.#memoryOf(buffer));
    if (this.#options.execute === false) return;
    const { kernel } = command.program as InterpretedProgram;
    const written = kernel.buffers.flatMap((buffer, i) =>
      buffer.access === 'read' ? [] : [command.buffers[i]],
    );
    const aliased = written.some((buffer) => command.buffers.filter((other) => other === buffer).length > 1);
    if (aliased) throw new InternalError(`kernel ${kernel.name}: a buffer that is written is bound twice`);
    interpretKernel(
      kernel,
      memories.map((memory, i) => view(kernel, i, memory)),
      command.scalars,
    );
  }

  memory(): DeviceMemory {
    const bytes = [...this.#live].reduce((sum, buffer) => sum + buffer.bytes, 0);
    return { bytes, buffers: this.#live.size, reserved: bytes, allocations: this.#allocations };
  }

  dispose(): void {
    this.#disposed = true;
    this.#live.clear();
  }
}

function view(kernel: Kernel, index: number, memory: ArrayBuffer): BufferContents {
  const { dtype, length } = kernel.buffers[index]!;
  const bytes = dtypeInfo[dtype].bytes;
  if (bytes === 2) return new Uint16Array(memory, 0, length);
  if (bytes === 1) return new Uint8Array(memory, 0, length);
  if (dtype === 'int32') return new Int32Array(memory, 0, length);
  return dtype === 'uint32' ? new Uint32Array(memory, 0, length) : new Float32Array(memory, 0, length);
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
